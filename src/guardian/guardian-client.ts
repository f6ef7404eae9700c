/**
 * The daemon's side of the guardian's socket: requests with deadlines, exits as
 * they happen, streams on connections of their own. It never decides that a
 * guest is dead: a lost connection is only that, the next guardian tells.
 */
import { connect, type Socket } from "node:net";
import { BlixardError, toBlixardError } from "#model/errors.ts";
import { isAlive } from "#process/identity.ts";
import { createLineSplitter } from "#process/line-splitter.ts";
import {
  encodeLine,
  type ExitReason,
  fromReplyError,
  type GuardianEvent,
  type GuardianRequest,
  type GuestCommand,
  type GuestReport,
  type HelloReply,
  parseObject,
  PROTOCOL_VERSION,
  readFrames,
  type SerialFrame,
  type SerialOpened,
} from "./protocol.ts";
import type { GuardianState } from "./state-file.ts";

export interface GuardianClient {
  readonly hello: HelloReply;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  list(): Promise<readonly GuestReport[]>;
  spawn(guest: GuestCommand): Promise<GuestReport>;
  /** Returns at once; the end comes as an event. Nothing happens when there is no such guest. */
  kill(instanceId: string, options: { readonly reason: ExitReason; readonly graceMs: number }): Promise<void>;
  /** The end of this instance is known and stored: the guardian forgets it. */
  acknowledge(instanceId: string): Promise<void>;
  /** @param deadlineUptimeSeconds seconds of the host's uptime; undefined disarms */
  fence(deadlineUptimeSeconds: number | undefined): Promise<void>;
  /** A stream to one of the guest's channels; an earlier one is closed. @throws BlixardError GUEST_CHANNEL_UNAVAILABLE */
  openChannel(instanceId: string, channel: string): Promise<Socket>;
  openSerial(options: OpenSerialOptions): Promise<SerialStream>;
  /** Ends the guardian. @throws BlixardError VM_STATE_CONFLICT while guests run, without `force` */
  shutdown(options: { readonly force: boolean }): Promise<void>;
  close(): void;
}

export interface OpenSerialOptions {
  readonly vmId: string;
  readonly logDir: string;
  /** For a console: input is taken, and the stream ends with the instance. */
  readonly instanceId?: string;
}

export interface SerialStream {
  /** Bytes logged before the first frame. */
  readonly offset: number;
  readonly frames: AsyncIterable<SerialFrame>;
  readonly socket: Socket;
}

export interface GuardianClientOptions {
  readonly state: GuardianState;
  readonly onExited: (guest: GuestReport) => void;
  /** For one request; default 10 s. */
  readonly requestTimeoutMs?: number;
}

const REQUEST_TIMEOUT_MS = 10_000;
// A list of all guests with their metadata and last words.
const MAXIMUM_REPLY_BYTES = 256 * 1024 * 1024;

interface Connection {
  readonly socket: Socket;
  request(operation: GuardianRequest): Promise<unknown>;
}

/** @throws BlixardError GUARDIAN_UNAVAILABLE */
export async function connectGuardian(options: GuardianClientOptions): Promise<GuardianClient> {
  const main = await openConnection(options);
  const closed = new Promise<void>((resolve) => main.socket.once("close", () => resolve()));
  const hello = (await main.request({ op: "hello", protocol: PROTOCOL_VERSION })) as HelloReply;
  if (hello.protocol !== PROTOCOL_VERSION) {
    main.socket.destroy();
    throw new BlixardError("GUARDIAN_UNAVAILABLE", `the guardian speaks protocol ${String(hello.protocol)}`, {
      hint: "stop this node's VMs, end the guardian, and start the node again",
    });
  }
  const request = async (operation: GuardianRequest): Promise<void> => void (await main.request(operation));

  return {
    hello,
    closed,
    list: async () => (await main.request({ op: "list" })) as readonly GuestReport[],
    spawn: async (guest) => (await main.request({ op: "spawn", guest })) as GuestReport,
    kill: (instanceId, { reason, graceMs }) => request({ op: "kill", instanceId, reason, graceMs }),
    acknowledge: (instanceId) => request({ op: "acknowledge", instanceId }),
    fence: (deadline) => request({ op: "fence", deadlineUptimeSeconds: deadline ?? null }),
    async openChannel(instanceId, channel) {
      return (await openStream(options, { op: "open-channel", instanceId, channel })).socket;
    },
    async openSerial({ vmId, logDir, instanceId }) {
      const { socket, reply } = await openStream(options, { op: "open-serial", vmId, logDir, instanceId });
      const { offset } = reply as SerialOpened;
      return { offset, frames: readFrames(socket), socket };
    },
    shutdown: ({ force }) => request({ op: "shutdown", force }),
    close: () => main.socket.destroy(),
  };
}

async function openConnection(options: GuardianClientOptions): Promise<Connection> {
  const socket = await connectSocket(options.state);
  const waiting = new Map<number, PromiseWithResolvers<Readonly<Record<string, unknown>>>>();
  let nextId = 1;
  socket.once("close", () => {
    for (const reply of waiting.values()) reply.reject(unavailable("the guardian closed the connection"));
  });

  const splitter = createLineSplitter({
    maximumBytes: MAXIMUM_REPLY_BYTES,
    onLine: (line) => {
      try {
        const message = parseObject(line);
        if (message["event"] === "exited") options.onExited((message as unknown as GuardianEvent).guest);
        else waiting.get(Number(message["id"]))?.resolve(message);
      } catch (error) {
        // No guardian sends this: the connection is worth nothing any more.
        socket.destroy(toBlixardError(error));
      }
    },
  });
  socket.on("data", (chunk: Buffer) => splitter.push(chunk));

  async function request(operation: GuardianRequest): Promise<unknown> {
    const id = nextId++;
    const reply = Promise.withResolvers<Readonly<Record<string, unknown>>>();
    const timer = setTimeout(
      () => reply.reject(unavailable(`the guardian did not answer ${operation.op} in time`)),
      options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    );
    waiting.set(id, reply);
    try {
      if (socket.destroyed) throw unavailable("there is no connection to the guardian");
      socket.write(encodeLine({ id, ...operation }));
      const message = await reply.promise;
      if (message["error"] !== undefined) throw fromReplyError(message["error"]);
      return message["result"];
    } finally {
      clearTimeout(timer);
      waiting.delete(id);
    }
  }

  return { socket, request };
}

function connectSocket(state: GuardianState): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(state.socketPath);
    socket.once("connect", () => resolve(socket));
    socket.on("error", (cause) => {
      const isGone = !isAlive(state.identity);
      reject(unavailable(isGone ? "there is no guardian" : "the guardian cannot be reached", cause));
    });
  });
}

/** One connection, one reply line, then bytes. */
async function openStream(
  options: GuardianClientOptions,
  operation: GuardianRequest,
): Promise<{ readonly socket: Socket; readonly reply: unknown }> {
  const socket = await connectSocket(options.state);
  try {
    socket.write(encodeLine({ id: 1, ...operation }));
    const message = parseObject(await readOneLine(socket, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS));
    if (message["error"] !== undefined) throw fromReplyError(message["error"]);
    return { socket, reply: message["result"] };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Takes exactly one line and leaves the bytes behind it in the stream. */
function readOneLine(socket: Socket, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = Buffer.alloc(0);
    const timer = setTimeout(() => finish(unavailable("the guardian did not answer in time")), timeoutMs);
    const onClose = (): void => finish(unavailable("the guardian closed the connection"));
    const onReadable = (): void => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
        text = Buffer.concat([text, chunk]);
        const end = text.indexOf("\n");
        if (end === -1) continue;
        finish(undefined, end);
        return;
      }
    };
    function finish(error: BlixardError | undefined, end = 0): void {
      clearTimeout(timer);
      socket.off("close", onClose);
      socket.off("readable", onReadable);
      if (error !== undefined) {
        reject(error);
        return;
      }
      if (end + 1 < text.length) socket.unshift(text.subarray(end + 1));
      resolve(text.toString("utf8", 0, end));
    }
    socket.on("close", onClose);
    socket.on("readable", onReadable);
  });
}

function unavailable(message: string, cause?: unknown): BlixardError {
  return new BlixardError("GUARDIAN_UNAVAILABLE", message, { cause });
}
