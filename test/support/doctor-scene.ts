/** Runs the doctor against real sockets on the loopback, and little servers that make one mistake each. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTcpServer, connect, type AddressInfo, type Socket } from "node:net";
import type { TestContext } from "node:test";
import type { OtlpSignal } from "#telemetry/otlp/destination.ts";
import type { DoctorCheck, DoctorSummary } from "#telemetry/doctor/check.ts";
import { createDoctor, type Doctor, type DoctorOptions } from "#telemetry/doctor/doctor.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import type { OtlpOptions } from "#telemetry/telemetry-options.ts";
import { randomBytes } from "node:crypto";
import { startOtlpReceiver, type OtlpReceiver, type OtlpReceiverOptions } from "./otlp-receiver.ts";

export interface Diagnosis {
  readonly checks: readonly DoctorCheck[];
  readonly summary: DoctorSummary;
  /** The findings, each once, in the order in which they came. */
  readonly findings: readonly string[];
  /** All that was said. */
  readonly text: string;
}

export type DoctorScene = Partial<Omit<DoctorOptions, "destinations">> & {
  readonly destinations?: Partial<Record<OtlpSignal, readonly OtlpOptions[]>>;
  readonly timeoutMs?: number;
};

/** Every signal to one endpoint. */
export function everySignalTo(otlp: OtlpOptions): Record<OtlpSignal, readonly OtlpOptions[]> {
  return { traces: [otlp], metrics: [otlp], logs: [otlp] };
}

export function doctorOf({ destinations = {}, ...scene }: DoctorScene): Doctor {
  return createDoctor({
    backends: {},
    resource: {
      attributes: { "service.name": "blixard", "service.instance.id": "11111111-2222-5333-8444-555555555555" },
    },
    scope: { name: "blixard", version: "0.0.0" },
    clock: createSystemClock(),
    randomHex: (bytes) => randomBytes(bytes).toString("hex"),
    ...scene,
    destinations: { traces: [], metrics: [], logs: [], ...destinations },
  });
}

export async function diagnose(scene: DoctorScene): Promise<Diagnosis> {
  const checks: DoctorCheck[] = [];
  let summary: DoctorSummary | undefined;
  const options = { timeoutMs: scene.timeoutMs ?? 60_000, signal: new AbortController().signal };
  for await (const event of doctorOf(scene).diagnose(options)) {
    if (event.kind === "check") checks.push(event.check);
    else summary = event.summary;
  }
  if (summary === undefined) throw new Error("a diagnosis ends with a summary");
  const findings = [...new Set(checks.flatMap(({ finding }) => (finding === undefined ? [] : [finding])))];
  const text = checks.map(({ target, message, fix = "" }) => `${target} ${message} ${fix}`).join("\n");
  return { checks, summary, findings, text };
}

/** An HTTP server for one test; returns `http://127.0.0.1:port`. */
export async function startHttp(context: Pick<TestContext, "after">, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers every request alike when its body was read. */
export function answer(
  statusCode: number,
  body = "",
  headers: Readonly<Record<string, string>> = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    request.resume();
    request.on("end", () => response.writeHead(statusCode, headers).end(body));
  };
}

/** Takes connections and never says a word; returns its port. */
export async function startSilence(context: Pick<TestContext, "after">): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.resume();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/**
 * A port on which connection attempts are not answered, as behind a firewall that drops
 * them: a listener that is stopped, and whose backlog is full.
 */
export async function startBlackHole(context: Pick<TestContext, "after">): Promise<number> {
  const source = `const s = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => console.log(s.address().port))`;
  const child = spawn(process.execPath, ["-e", source], { stdio: ["ignore", "pipe", "inherit"] });
  const sockets: Socket[] = [];
  context.after(async () => {
    for (const socket of sockets) socket.destroy();
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const port = Number(line.toString());
  child.kill("SIGSTOP");
  for (let attempts = 0; attempts < 64; attempts++) {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => {});
    sockets.push(socket);
    const connected = await Promise.race([
      once(socket, "connect").then(() => true),
      new Promise<false>((resolve) => void setTimeout(() => resolve(false), 500)),
    ]);
    if (!connected) return port;
  }
  throw new Error("the backlog never fills");
}

export async function receiverFor(
  context: Pick<TestContext, "after">,
  options: OtlpReceiverOptions = {},
): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver(options);
  context.after(() => receiver[Symbol.asyncDispose]());
  return receiver;
}

/** The check with this finding. */
export function finding({ checks, findings, text }: Diagnosis, id: string) {
  const check = checks.find((candidate) => candidate.finding === id);
  assert.ok(check, `${id} is not among ${findings.join(", ") || "no findings"}:\n${text}`);
  return { ...check, fix: check.fix ?? "" };
}

export function assertOnly(diagnosis: Diagnosis, id: string, fix: RegExp): void {
  assert.deepEqual(diagnosis.findings, [id], diagnosis.text);
  assert.match(finding(diagnosis, id).fix, fix);
}
