/**
 * The channel to the agent inside a guest: JSON lines over a virtio-serial port.
 *
 * The guest says `ready` when its agent opens the port and whenever it hears
 * `hello`; it answers `ping`, `stats` and `poweroff`. Everything from there is
 * hostile: lines are short, few, and taken only in the form known here. A guest
 * that talks too much is read more slowly, so that it waits and we do not.
 */
import type { Duplex } from "node:stream";
import { parseBaggage } from "#model/baggage.ts";
import { BlixardError } from "#model/errors.ts";
import { parseTraceparent } from "#model/trace-context.ts";
import { createLineSplitter } from "#process/line-splitter.ts";

export interface GuestReady {
  readonly bootId: string;
  readonly uptimeSeconds: number;
  /** Seconds since the guest's kernel started. */
  readonly marks: Readonly<Record<string, number>>;
  readonly traceparent: string | undefined;
  readonly baggage?: string | undefined;
}

export interface GuestMemory {
  readonly totalBytes: number;
  readonly availableBytes: number;
}

export interface GuestAgent {
  /** Asks the agent to say again that it is ready. */
  hello(): void;
  /** Asks the guest to power off; resolves when it has agreed. @throws BlixardError GUEST_CHANNEL_UNAVAILABLE */
  powerOff(timeoutMs: number): Promise<void>;
  /** @throws BlixardError GUEST_CHANNEL_UNAVAILABLE */
  stats(timeoutMs: number): Promise<GuestMemory>;
  close(): void;
}

export interface GuestAgentOptions {
  readonly stream: Duplex;
  /** Names our requests, to tell answers to them from those to an earlier daemon's. */
  readonly session: string;
  readonly onReady: (ready: GuestReady) => void;
}

const MAXIMUM_LINE_BYTES = 8 * 1024;
// Over this the guest is made to wait, until what it said is paid for. Each line costs us more than its bytes.
const ALLOWANCE_BYTES_PER_SECOND = 64 * 1024;
const ALLOWANCE_BYTES = 64 * 1024;
const COST_OF_LINE_BYTES = 512;
const MAXIMUM_PENDING = 16;
const MAXIMUM_MARKS = 16;
const MAXIMUM_SECONDS = 1e9;
const BOOT_ID = /^[0-9a-f-]{1,64}$/;
const MARK_NAME = /^[a-z][a-z0-9_]{0,31}$/;

export type GuestMessage =
  | { readonly type: "ready"; readonly ready: GuestReady }
  | { readonly type: "pong" | "bye"; readonly id: string }
  | { readonly type: "stats"; readonly id: string; readonly memory: GuestMemory }
  | { readonly type: "error"; readonly id: string; readonly message: string };

export function createGuestAgent(options: GuestAgentOptions): GuestAgent {
  const { stream, session, onReady } = options;
  const waiting = new Map<string, PromiseWithResolvers<GuestMessage>>();
  let lastId = 0;
  let lines = 0;

  function handle(message: GuestMessage): void {
    if (message.type === "ready") onReady(message.ready);
    else waiting.get(message.id)?.resolve(message);
  }

  const splitter = createLineSplitter({
    maximumBytes: MAXIMUM_LINE_BYTES,
    onLine: (line) => {
      lines++;
      const message = parseGuestMessage(line);
      if (message !== undefined) handle(message);
    },
    onTooLong: () => lines++,
  });
  readSlowly(stream, (chunk) => {
    lines = 0;
    splitter.push(chunk);
    return chunk.length + lines * COST_OF_LINE_BYTES;
  });
  stream.on("error", () => {});
  stream.once("close", () => {
    for (const reply of waiting.values()) reply.reject(unavailable("the guest is gone"));
  });

  async function request(type: string, timeoutMs: number): Promise<GuestMessage> {
    if (stream.destroyed) throw unavailable("the guest is gone");
    if (waiting.size >= MAXIMUM_PENDING) throw unavailable("the guest leaves too many requests unanswered");
    const id = `${session}-${++lastId}`;
    const reply = Promise.withResolvers<GuestMessage>();
    const timer = setTimeout(() => reply.reject(unavailable("the guest's agent does not answer")), timeoutMs);
    waiting.set(id, reply);
    try {
      stream.write(`${JSON.stringify({ type, id })}\n`);
      const message = await reply.promise;
      if (message.type === "error") throw unavailable(`the guest's agent refused: ${message.message}`);
      return message;
    } finally {
      clearTimeout(timer);
      waiting.delete(id);
    }
  }

  return {
    hello: () => void stream.write(`${JSON.stringify({ type: "hello" })}\n`),
    powerOff: async (timeoutMs) => void (await request("poweroff", timeoutMs)),
    async stats(timeoutMs) {
      const message = await request("stats", timeoutMs);
      if (message.type !== "stats") throw unavailable("the guest's agent answered something else");
      return message.memory;
    },
    close: () => stream.destroy(),
  };
}

/** Reads while there is allowance left; the rest waits in the pipe. `take` gives the cost of a chunk. */
function readSlowly(stream: Duplex, take: (chunk: Buffer) => number): void {
  let allowance = ALLOWANCE_BYTES;
  let countedAtMs = performance.now();
  let timer: NodeJS.Timeout | undefined;
  stream.on("data", (chunk: Buffer) => {
    const nowMs = performance.now();
    const earned = ((nowMs - countedAtMs) / 1000) * ALLOWANCE_BYTES_PER_SECOND;
    countedAtMs = nowMs;
    allowance = Math.min(ALLOWANCE_BYTES, allowance + earned) - take(chunk);
    if (allowance >= 0) return;
    stream.pause();
    timer = setTimeout(() => stream.resume(), (-allowance / ALLOWANCE_BYTES_PER_SECOND) * 1000);
  });
  stream.once("close", () => clearTimeout(timer));
}

/** undefined when the line is nothing that an agent of this protocol says. */
export function parseGuestMessage(line: string): GuestMessage | undefined {
  let value: Readonly<Record<string, unknown>>;
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed !== "object" || parsed === null) return undefined;
    value = parsed as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
  if (value["type"] === "ready") return parseReady(value);
  const id = value["id"];
  if (typeof id !== "string") return undefined;
  switch (value["type"]) {
    case "pong":
    case "bye":
      return { type: value["type"], id };
    case "stats":
      return parseStats(value, id);
    case "error":
      return { type: "error", id, message: String(value["message"]).slice(0, 200) };
    default:
      return undefined;
  }
}

function parseReady(value: Readonly<Record<string, unknown>>): GuestMessage | undefined {
  const { protocol, bootId, uptimeSeconds, traceparent, baggage } = value as {
    protocol?: unknown;
    bootId?: unknown;
    uptimeSeconds?: unknown;
    traceparent?: unknown;
    baggage?: unknown;
  };
  const marks = parseMarks(value["marks"]);
  if (protocol !== 1 || typeof bootId !== "string" || !BOOT_ID.test(bootId)) return undefined;
  if (!isSeconds(uptimeSeconds) || marks === undefined) return undefined;
  const isContext = typeof traceparent === "string" && parseTraceparent(traceparent) !== undefined;
  return {
    type: "ready",
    ready: {
      bootId,
      uptimeSeconds,
      marks,
      traceparent: isContext ? traceparent : undefined,
      ...(typeof baggage === "string" && parseBaggage(baggage).members.length > 0 ? { baggage } : {}),
    },
  };
}

function parseMarks(value: unknown): Readonly<Record<string, number>> | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const entries = Object.entries(value);
  const known = entries.filter((entry): entry is [string, number] => MARK_NAME.test(entry[0]) && isSeconds(entry[1]));
  return entries.length > MAXIMUM_MARKS || known.length < entries.length ? undefined : Object.fromEntries(known);
}

function parseStats(value: Readonly<Record<string, unknown>>, id: string): GuestMessage | undefined {
  const totalBytes = value["memoryTotalBytes"];
  const availableBytes = value["memoryAvailableBytes"];
  if (!isBytes(totalBytes) || !isBytes(availableBytes)) return undefined;
  return { type: "stats", id, memory: { totalBytes, availableBytes: Math.min(availableBytes, totalBytes) } };
}

function isSeconds(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= MAXIMUM_SECONDS;
}

function isBytes(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function unavailable(message: string): BlixardError {
  return new BlixardError("GUEST_CHANNEL_UNAVAILABLE", message, {
    hint: "see the guest's serial log: `blixard vm logs NAME`",
  });
}
