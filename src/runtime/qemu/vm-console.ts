/** The serial console of one instance: output as it comes, input as it is typed. */
import { once } from "node:events";
import type { GuardianClient, SerialStream } from "#guardian/guardian-client.ts";
import { BlixardError } from "#model/errors.ts";
import type { MachineConsole } from "../runtime.ts";

export interface OpenConsoleOptions {
  readonly client: GuardianClient;
  readonly vmId: string;
  readonly instanceId: string;
  readonly logDir: string;
  readonly signal: AbortSignal;
}

/** @throws BlixardError GUARDIAN_UNAVAILABLE */
export async function openConsole(options: OpenConsoleOptions): Promise<MachineConsole> {
  const { client, vmId, instanceId, logDir, signal } = options;
  signal.throwIfAborted();
  const stream = await client.openSerial({ vmId, logDir, instanceId });
  const { socket } = stream;
  const close = (): void => void socket.destroy();
  signal.addEventListener("abort", close, { once: true });
  socket.once("close", () => signal.removeEventListener("abort", close));
  if (signal.aborted) close();
  return {
    output: readOutput(stream),
    async write(data) {
      if (!socket.writable || socket.readableEnded) {
        throw new BlixardError("GUEST_CHANNEL_UNAVAILABLE", "the guest of this console is gone");
      }
      if (!socket.write(data)) await Promise.race([once(socket, "drain"), once(socket, "close")]);
    },
    async [Symbol.asyncDispose]() {
      close();
    },
  };
}

/** Ends when the guest or the console does, however that happens. */
async function* readOutput({ frames, socket }: SerialStream): AsyncGenerator<Uint8Array> {
  try {
    for await (const frame of frames) yield frame.data;
  } catch (error) {
    if (!socket.destroyed) throw error;
  } finally {
    socket.destroy();
  }
}
