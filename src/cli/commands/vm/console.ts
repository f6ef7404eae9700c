/** `blixard vm console` */
import { create } from "@bufbuild/protobuf";
import { AttachVmConsoleRequestSchema, type AttachVmConsoleRequest, VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { defineCommand } from "../../command.ts";
import type { CliIo } from "../../io.ts";
import { nodeOptions } from "../../node-options.ts";
import { vmArgument } from "./vm-operation.ts";

/** Ctrl-] */
const LEAVE = 0x1d;
const MAXIMUM_PIECE_BYTES = 32 * 1024;

export const vmConsole = defineCommand({
  description:
    "Keys go to the guest as they are typed; Ctrl-] leaves. When input is piped, it is sent, and output goes on until the VM stops or Ctrl-C.",
  arguments: { vm: vmArgument },
  options: {
    endpoint: nodeOptions.endpoint,
    dataDir: nodeOptions.dataDir,
    tokenFile: nodeOptions.tokenFile,
  },
  examples: [
    { command: "blixard vm console web", explanation: "Type into the guest; Ctrl-] leaves" },
    { command: "echo uname -a | blixard vm console web", explanation: "Send a line" },
  ],
  run: async ({ node, io, signal }, { vm }) => {
    const vms = await node.client(VmService);
    const leaving = new AbortController();
    const attached = AbortSignal.any([signal, leaving.signal]);
    if (io.stdin.isTerminal) await io.stderr.write(`Attached to ${vm}. Ctrl-] leaves.\r\n`);
    using _raw = io.stdin.rawMode();
    try {
      for await (const { output } of vms.attachVmConsole(readInput(vm, io, leaving), {
        signal: attached,
        timeoutMs: 0,
      })) {
        await io.stdout.write(output);
      }
    } catch (error) {
      if (!leaving.signal.aborted) throw error;
    } finally {
      if (io.stdin.isTerminal) await io.stderr.write("\r\nDetached.\r\n");
    }
  },
});

async function* readInput(vm: string, io: CliIo, leaving: AbortController): AsyncIterable<AttachVmConsoleRequest> {
  yield create(AttachVmConsoleRequestSchema, { message: { case: "vm", value: vm } });
  for await (const data of io.stdin.read()) {
    const end = io.stdin.isTerminal ? data.indexOf(LEAVE) : -1;
    const input = end === -1 ? data : data.subarray(0, end);
    for (let offset = 0; offset < input.length; offset += MAXIMUM_PIECE_BYTES) {
      const value = Uint8Array.from(input.subarray(offset, offset + MAXIMUM_PIECE_BYTES));
      yield create(AttachVmConsoleRequestSchema, { message: { case: "input", value } });
    }
    if (end !== -1) {
      leaving.abort();
      return;
    }
  }
}
