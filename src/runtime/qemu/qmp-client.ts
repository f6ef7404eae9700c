/**
 * QEMU's monitor protocol over a stream: commands with deadlines, events as they
 * come. The stream may have been another daemon's before, so a first line may
 * be the end of one, and answers to its commands are passed over. What QEMU says
 * is limited: a guest may have taken it over.
 */
import type { Duplex } from "node:stream";
import { BlixardError } from "#model/errors.ts";
import { createLineSplitter } from "#process/line-splitter.ts";

export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface QmpClient {
  /** Resolves when the stream is gone. */
  readonly closed: Promise<void>;
  /**
   * @returns what QEMU returned
   * @throws BlixardError HYPERVISOR_UNRESPONSIVE when no answer comes, HYPERVISOR_FAILED when QEMU refuses
   */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  close(): void;
}

export interface QmpClientOptions {
  readonly stream: Duplex;
  /** Names this client's commands, to tell its answers from those to an earlier one. */
  readonly session: string;
  readonly onEvent: (event: QmpEvent) => void;
  /** For one command; default 10 s. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;
const MAXIMUM_LINE_BYTES = 4 * 1024 * 1024;
const MAXIMUM_PENDING = 256;

type Waiting = PromiseWithResolvers<unknown>;

/** Leaves the negotiation behind, whether it was done before or not. */
export async function connectQmp(options: QmpClientOptions): Promise<QmpClient> {
  const { stream, session, onEvent } = options;
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const waiting = new Map<string, Waiting>();
  let lastId = 0;

  function handle(message: Readonly<Record<string, unknown>>): void {
    if (typeof message["event"] === "string") {
      onEvent({ name: message["event"], data: asRecord(message["data"]) });
      return;
    }
    const id = message["id"];
    const reply = typeof id === "string" ? waiting.get(id) : undefined;
    if (message["error"] !== undefined) {
      const { desc } = asRecord(message["error"]) as { desc?: unknown };
      reply?.reject(new BlixardError("HYPERVISOR_FAILED", `QEMU refused: ${String(desc).slice(0, 500)}`));
    } else {
      reply?.resolve(message["return"]);
    }
  }

  const splitter = createLineSplitter({
    maximumBytes: MAXIMUM_LINE_BYTES,
    onLine: (line) => {
      const message = parseMessage(line);
      if (message !== undefined) handle(message);
    },
  });
  stream.on("data", (chunk: Buffer) => splitter.push(chunk));
  stream.on("error", () => {});
  const closed = new Promise<void>((resolve) => {
    stream.once("close", () => {
      for (const reply of waiting.values()) reply.reject(unresponsive("the hypervisor is gone"));
      resolve();
    });
  });

  async function execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (stream.destroyed) throw unresponsive("the hypervisor is gone");
    if (waiting.size >= MAXIMUM_PENDING) throw unresponsive("too many commands wait for the hypervisor");
    const id = `${session}-${++lastId}`;
    const reply: Waiting = Promise.withResolvers();
    const timer = setTimeout(
      () => reply.reject(unresponsive(`the hypervisor did not answer ${command} within ${timeoutMs} ms`)),
      timeoutMs,
    );
    waiting.set(id, reply);
    try {
      stream.write(`${JSON.stringify({ execute: command, id, ...(args === undefined ? {} : { arguments: args }) })}\n`);
      return await reply.promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(id);
    }
  }

  await execute("qmp_capabilities").catch((error: unknown) => {
    // An earlier client has done it; QEMU then does not know the command any more.
    if (!(error instanceof BlixardError) || error.code !== "HYPERVISOR_FAILED") throw error;
  });
  return { closed, execute, close: () => stream.destroy() };
}

function parseMessage(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function unresponsive(message: string): BlixardError {
  return new BlixardError("HYPERVISOR_UNRESPONSIVE", message);
}
