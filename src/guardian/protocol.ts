/**
 * What a daemon and its guardian say to each other over a unix socket.
 *
 * JSON lines, one request and one reply each, matched by `id`; the guardian also
 * sends events. A connection begins with `hello`. A request `open-…` turns its
 * connection into a byte stream, and no line follows on it:
 *
 *   open-channel   raw bytes of one of the guest's descriptors, both ways
 *   open-serial    frames down (offset, length, bytes), console input up
 *
 * A guardian outlives daemons, so a newer daemon meets an older guardian: fields
 * are only ever added, and `protocol` grows when that is not enough.
 */
import { BlixardError, type ErrorCode, errorCodes } from "#model/errors.ts";
import type { ProcessIdentity } from "#process/identity.ts";

export const PROTOCOL_VERSION = 1;
export const MAXIMUM_LINE_BYTES = 256 * 1024;
/** sun_path holds 108 bytes with the terminating zero. */
export const MAXIMUM_SOCKET_PATH_BYTES = 107;

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const CHANNEL_NAME = /^[a-z][a-z0-9.-]{0,63}$/;
const MAXIMUM_ARGUMENTS = 512;
const MAXIMUM_CHANNELS = 8;
const MAXIMUM_COMPANIONS = 4;
const MAXIMUM_FILES = 16;
const MAXIMUM_METADATA_BYTES = 32 * 1024;

/** Why the guardian ended a guest, or what it found; "" when the guest ended by itself. */
export const exitReasons = [
  "",
  "forced",
  "boot_timeout",
  "start_failed",
  "fenced",
  "guardian_stopped",
  "guardian_lost",
  "host_rebooted",
] as const;
export type ExitReason = (typeof exitReasons)[number];

export interface CompanionCommand {
  readonly argv: readonly string[];
}

/**
 * One guest to start. Its descriptors 0 and 1 are the serial console; from 3 up come the channels, the links to
 * companions and the opened files, in this order.
 */
export interface GuestCommand {
  readonly vmId: string;
  /** Starting the same instance again returns what is there. */
  readonly instanceId: string;
  /** The first is an absolute path. */
  readonly argv: readonly string[];
  readonly workingDir: string;
  /** Where the serial log is kept; it exists. */
  readonly logDir: string;
  readonly channels: readonly string[];
  /**
   * Helpers that live and die with the guest; descriptor 3 of each is one end of a socket pair, the guest has the
   * other. They must not speak before the guest does.
   */
  readonly companions: readonly CompanionCommand[];
  /** Absolute paths, opened for reading: the guest itself need not be able to reach them. */
  readonly files: readonly string[];
  /** May be started elsewhere when this node is lost: killed at the fencing deadline. */
  readonly fenced: boolean;
  /** The daemon's own notes, returned as they are. At most 32 KiB as JSON. */
  readonly metadata: unknown;
}

export interface GuestExit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
  readonly timeMs: number;
  readonly reason: ExitReason;
  /** At most 4 KiB each. */
  readonly stderrTail: string;
  readonly channelTails: Readonly<Record<string, string>>;
}

export interface GuestReport {
  readonly vmId: string;
  readonly instanceId: string;
  readonly metadata: unknown;
  readonly startTimeMs: number;
  /** Seconds from the host's boot to the start. */
  readonly startUptimeSeconds: number;
  /** undefined while it is being started, and after a guardian or a boot that is gone. */
  readonly identity: ProcessIdentity | undefined;
  /** undefined while it runs. Kept until it is acknowledged. */
  readonly exit: GuestExit | undefined;
}

export interface HelloReply {
  readonly protocol: number;
  readonly identity: ProcessIdentity;
  readonly guestCount: number;
}

export interface SerialOpened {
  /** Bytes of the serial log so far; frames go on from here. */
  readonly offset: number;
}

export type GuardianRequest =
  | { readonly op: "hello"; readonly protocol: number }
  | { readonly op: "list" }
  | { readonly op: "spawn"; readonly guest: GuestCommand }
  | { readonly op: "kill"; readonly instanceId: string; readonly graceMs: number; readonly reason: ExitReason }
  | { readonly op: "acknowledge"; readonly instanceId: string }
  /** Seconds of the host's uptime; null disarms. */
  | { readonly op: "fence"; readonly deadlineUptimeSeconds: number | null }
  | { readonly op: "open-channel"; readonly instanceId: string; readonly channel: string }
  /** With `instanceId` input is taken and the stream ends with that instance. */
  | {
      readonly op: "open-serial";
      readonly vmId: string;
      readonly logDir: string;
      readonly instanceId: string | undefined;
    }
  /** Refused while guests run, unless `force`. */
  | { readonly op: "shutdown"; readonly force: boolean };

export interface GuardianEvent {
  readonly event: "exited";
  readonly guest: GuestReport;
}

export function encodeLine(message: unknown): string {
  return `${JSON.stringify(message)}\n`;
}

/** A request and its id. @throws BlixardError INVALID_ARGUMENT */
export function parseRequest(line: string): { readonly id: number; readonly request: GuardianRequest } {
  const value = parseObject(line);
  const id = value["id"];
  if (typeof id !== "number" || !Number.isSafeInteger(id)) throw invalid("a request has no id");
  return { id, request: parseOperation(value) };
}

/** The id alone, to answer a request that is otherwise wrong. */
export function parseRequestId(line: string): number {
  try {
    const id = parseObject(line)["id"];
    return typeof id === "number" && Number.isSafeInteger(id) ? id : 0;
  } catch {
    return 0;
  }
}

export function parseObject(line: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new BlixardError("INVALID_ARGUMENT", "a line is not JSON", { cause });
  }
  return asObject(value, "a line");
}

function parseOperation(value: Readonly<Record<string, unknown>>): GuardianRequest {
  switch (value["op"]) {
    case "hello":
      return { op: "hello", protocol: asNumber(value["protocol"], "protocol") };
    case "list":
      return { op: "list" };
    case "spawn":
      return { op: "spawn", guest: parseGuestCommand(asObject(value["guest"], "guest")) };
    case "kill":
      return {
        op: "kill",
        instanceId: asId(value["instanceId"], "instanceId"),
        graceMs: asNumber(value["graceMs"], "graceMs"),
        reason: exitReasons.find((reason) => reason === value["reason"]) ?? "forced",
      };
    case "acknowledge":
      return { op: "acknowledge", instanceId: asId(value["instanceId"], "instanceId") };
    case "fence": {
      const deadline = value["deadlineUptimeSeconds"];
      return { op: "fence", deadlineUptimeSeconds: deadline === null ? null : asNumber(deadline, "deadline") };
    }
    case "open-channel":
      return {
        op: "open-channel",
        instanceId: asId(value["instanceId"], "instanceId"),
        channel: asText(value["channel"], "channel"),
      };
    case "open-serial":
      return {
        op: "open-serial",
        vmId: asId(value["vmId"], "vmId"),
        logDir: asAbsolutePath(value["logDir"], "logDir"),
        instanceId: value["instanceId"] === undefined ? undefined : asId(value["instanceId"], "instanceId"),
      };
    case "shutdown":
      return { op: "shutdown", force: value["force"] === true };
    default:
      throw new BlixardError("UNIMPLEMENTED", `this guardian does not know ${JSON.stringify(value["op"])}`);
  }
}

function parseGuestCommand(value: Readonly<Record<string, unknown>>): GuestCommand {
  const metadata = value["metadata"] ?? null;
  if (JSON.stringify(metadata).length > MAXIMUM_METADATA_BYTES) throw invalid("metadata is too large");
  const channels = asList(value["channels"], "channels", MAXIMUM_CHANNELS).map((name) => asText(name, "channels"));
  if (!channels.every((name) => CHANNEL_NAME.test(name))) throw invalid("channels have plain names");
  return {
    vmId: asId(value["vmId"], "vmId"),
    instanceId: asId(value["instanceId"], "instanceId"),
    argv: asCommand(value["argv"], "argv"),
    workingDir: asAbsolutePath(value["workingDir"], "workingDir"),
    logDir: asAbsolutePath(value["logDir"], "logDir"),
    channels,
    companions: asList(value["companions"], "companions", MAXIMUM_COMPANIONS).map((companion) => ({
      argv: asCommand(asObject(companion, "companion")["argv"], "companion"),
    })),
    files: asList(value["files"], "files", MAXIMUM_FILES).map((path) => asAbsolutePath(path, "files")),
    fenced: value["fenced"] === true,
    metadata,
  };
}

function invalid(message: string): BlixardError {
  return new BlixardError("INVALID_ARGUMENT", message);
}

function asObject(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(`${field} is not an object`);
  return value as Readonly<Record<string, unknown>>;
}

function asList(value: unknown, field: string, maximum: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > maximum) throw invalid(`${field} is not a list of at most ${maximum}`);
  return value;
}

function asNumber(value: unknown, field: string): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) throw invalid(`${field} is not a number`);
  return value;
}

function asText(value: unknown, field: string): string {
  if (typeof value !== "string" || value.includes("\0")) throw invalid(`${field} is not a text`);
  return value;
}

function asId(value: unknown, field: string): string {
  const text = asText(value, field);
  if (!ID.test(text)) throw invalid(`${field} is not an id`);
  return text;
}

function asAbsolutePath(value: unknown, field: string): string {
  const text = asText(value, field);
  if (!text.startsWith("/")) throw invalid(`${field} is not an absolute path`);
  return text;
}

function asCommand(value: unknown, field: string): readonly string[] {
  const argv = asList(value, field, MAXIMUM_ARGUMENTS).map((argument) => asText(argument, field));
  asAbsolutePath(argv[0], field);
  return argv;
}

/** The error of a reply as an error again; an unknown code of a newer guardian becomes INTERNAL. */
export function fromReplyError(value: unknown): BlixardError {
  const error = asObject(value, "error");
  const code = String(error["code"]);
  const known = code in errorCodes ? (code as ErrorCode) : "INTERNAL";
  const hint = error["hint"];
  return new BlixardError(known, String(error["message"]), typeof hint === "string" ? { hint } : {});
}

// --- Serial frames: offset (8 bytes), length (4 bytes), both big-endian, then the bytes

const FRAME_HEADER_BYTES = 12;
const MAXIMUM_FRAME_BYTES = 1024 * 1024;

export interface SerialFrame {
  /** Of the first byte in the whole output of the VM; a jump tells how much was skipped. */
  readonly offset: number;
  readonly data: Buffer;
}

export function encodeFrameHeader(offset: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  header.writeBigUInt64BE(BigInt(offset));
  header.writeUInt32BE(length, 8);
  return header;
}

/** Cuts a stream into frames. @throws BlixardError INTERNAL on a frame that no guardian sends */
export async function* readFrames(stream: AsyncIterable<Buffer>): AsyncGenerator<SerialFrame> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= FRAME_HEADER_BYTES) {
      const length = rest.readUInt32BE(8);
      if (length > MAXIMUM_FRAME_BYTES) throw new BlixardError("INTERNAL", `a serial frame of ${length} bytes`);
      const end = FRAME_HEADER_BYTES + length;
      if (rest.length < end) break;
      yield { offset: Number(rest.readBigUInt64BE()), data: rest.subarray(FRAME_HEADER_BYTES, end) };
      rest = rest.subarray(end);
    }
  }
}
