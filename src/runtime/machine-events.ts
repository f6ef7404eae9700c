/** The one-consumer stream of a machine's states. Bounded by what a machine can do: `exited` ends it. */
import type { MachineEvent } from "./runtime.ts";

export interface MachineEvents {
  readonly events: AsyncIterable<MachineEvent>;
  /** After `exited` nothing more is taken. */
  push(event: MachineEvent): void;
  /** Ends the stream without an exit: the daemon lets go of a machine that runs on. */
  close(): void;
}

/** A consumer that never reads keeps at most this many; the oldest pause or resume goes first, `exited` never. */
const MAXIMUM_PENDING = 64;

export function createMachineEvents(): MachineEvents {
  const pending: MachineEvent[] = [];
  let closed = false;
  let wake: (() => void) | undefined;

  async function* read(): AsyncGenerator<MachineEvent> {
    for (;;) {
      const event = pending.shift();
      if (event !== undefined) yield event;
      else if (closed) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }

  return {
    events: read(),
    push(event) {
      if (closed) return;
      if (pending.length === MAXIMUM_PENDING) pending.shift();
      pending.push(event);
      closed = event.kind === "exited";
      wake?.();
    },
    close() {
      closed = true;
      wake?.();
    },
  };
}
