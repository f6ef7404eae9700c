/** What start, stop, restart, pause, resume and delete have in common: a call, then perhaps a wait. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { type Vm, VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { BlixardError } from "#model/errors.ts";
import { anyText, flag, option } from "../../command.ts";
import type { CommandContext } from "../../context.ts";
import { nodeOptions } from "../../node-options.ts";
import { printable } from "../../output/text.ts";
import { durationMs } from "../../values.ts";
import { waitForVm, type WaitGoal } from "../../wait-for-vm.ts";
import { vmSentence } from "./vm-view.ts";

export const vmArgument = { description: "Name or id of the VM.", complete: "vm" } as const;

export const waitOptions = {
  wait: flag("Wait until it is done, with progress on stderr.", { short: "w" }),
  timeout: option(
    "DURATION",
    "With --wait: how long at most; default: 5m. Then the exit code is 4, and the operation goes on.",
    durationMs,
  ),
};

export const operationOptions = {
  ...waitOptions,
  operationId: option("ID", "The same id with the same request is done once, however often it is sent.", anyText),
  ...nodeOptions,
};

export const forceOption = flag("Without asking the guest.", { short: "f" });

const DEFAULT_WAIT_TIMEOUT_MS = 300_000;

export interface VmOperation<D extends DescMessage> {
  readonly goal: WaitGoal;
  readonly schema: D;
  readonly wait: boolean;
  readonly timeoutMs: number | undefined;
  call(vms: Client<typeof VmService>, signal: AbortSignal): Promise<MessageShape<D> & { vm?: Vm | undefined }>;
}

/** Prints the response, after `--wait` with the VM as it is then. */
export async function runVmOperation<D extends DescMessage>(
  context: CommandContext,
  operation: VmOperation<D>,
): Promise<void> {
  const { goal, schema } = operation;
  const vms = await context.node.client(VmService);
  const response = await operation.call(vms, context.signal);
  const { vm } = response;
  if (vm === undefined) throw new BlixardError("INTERNAL", "the node's answer has no VM");
  context.trace.setAttribute("blixard.vm.name", vm.name);
  if (operation.wait) {
    const end = await waitForVm(context, { goal, vm, timeoutMs: operation.timeoutMs ?? DEFAULT_WAIT_TIMEOUT_MS });
    if (end !== undefined) response.vm = end;
  }
  const now = response.vm ?? vm;
  await context.printer.message(schema, response, () => [
    printable((operation.wait ? doneSentence(goal, now) : askedSentence(goal, now)) ?? vmSentence(now)),
  ]);
}

function doneSentence(goal: WaitGoal, { name }: Vm): string | undefined {
  return goal === "deleted" ? `${name} is deleted` : undefined;
}

/** What was asked for is not done yet: the state that the VM is still in would read like a refusal. */
function askedSentence(goal: WaitGoal, { name }: Vm): string | undefined {
  const doing = {
    running: undefined,
    restarted: "restarted",
    stopped: "stopped",
    paused: "paused",
    deleted: "deleted",
  }[goal];
  return doing === undefined ? undefined : `${name} is being ${doing}`;
}
