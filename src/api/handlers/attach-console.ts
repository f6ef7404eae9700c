/** A guest's serial console over a bidirectional stream: the caller's input in, the guest's output out. */
import type { AttachVmConsoleRequest } from "#gen/api/blixard/v1/vm_pb.ts";
import { BlixardError } from "#model/errors.ts";
import { untilAborted } from "../call/until-aborted.ts";
import type { LocalConsole } from "../ports.ts";

const MAXIMUM_INPUT_BYTES = 64 * 1024;

/** @param open finds the VM by name or id and attaches to its console */
export async function* attachConsole(
  requests: AsyncIterable<AttachVmConsoleRequest>,
  signal: AbortSignal,
  open: (vm: string, signal: AbortSignal) => Promise<LocalConsole>,
): AsyncGenerator<{ output: Uint8Array }> {
  const input = requests[Symbol.asyncIterator]();
  const first = await input.next();
  if (first.done === true || first.value.message.case !== "vm") {
    throw new BlixardError("INVALID_ARGUMENT", "the first message does not name the VM", {
      field: "vm",
      hint: "Send the VM's name first, then input.",
    });
  }
  // Input that fails ends the output too.
  const failed = new AbortController();
  const until = AbortSignal.any([signal, failed.signal]);
  await using console = await open(first.value.message.value, until);
  forwardInput(input, console).catch((error: unknown) => failed.abort(error));
  const output = console.output[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await untilAborted(output.next(), until);
      if (next.done === true) return;
      yield { output: next.value };
    }
  } finally {
    output.return?.().catch(() => undefined);
  }
}

/** Ends when the caller has nothing more to say; the output goes on. */
async function forwardInput(input: AsyncIterator<AttachVmConsoleRequest>, console: LocalConsole): Promise<void> {
  for (;;) {
    const next = await input.next();
    if (next.done === true) return;
    const { message } = next.value;
    if (message.case !== "input") {
      throw new BlixardError("INVALID_ARGUMENT", "only the first message names a VM", { hint: "Send input." });
    }
    if (message.value.length > MAXIMUM_INPUT_BYTES) {
      throw new BlixardError("REQUEST_TOO_LARGE", `${message.value.length} bytes of input at once are too many`, {
        field: "input",
        hint: `Send at most ${MAXIMUM_INPUT_BYTES} bytes in one message.`,
      });
    }
    await console.write(message.value);
  }
}
