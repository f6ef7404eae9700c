import assert from "node:assert/strict";
import { type Duplex, duplexPair } from "node:stream";
import { describe, it } from "node:test";
import { createLineSplitter } from "#process/line-splitter.ts";
import { connectQmp, type QmpClient, type QmpEvent } from "./qmp-client.ts";

interface Command {
  readonly execute: string;
  readonly id: string;
  readonly arguments?: unknown;
}

interface Scene {
  readonly qemu: Duplex;
  readonly commands: Command[];
  readonly events: QmpEvent[];
  connect(timeoutMs?: number): Promise<QmpClient>;
}

/** A monitor that answers with `answer`, or not at all when that gives undefined. */
function createScene(answer: (command: Command) => unknown): Scene {
  const [ours, qemu] = duplexPair();
  const commands: Command[] = [];
  const events: QmpEvent[] = [];
  const splitter = createLineSplitter({
    maximumBytes: 10_000,
    onLine: (line) => {
      const command = JSON.parse(line) as Command;
      commands.push(command);
      const reply = command.execute === "qmp_capabilities" ? { return: {} } : answer(command);
      if (reply !== undefined) qemu.write(`${JSON.stringify({ id: command.id, ...(reply as object) })}\n`);
    },
  });
  qemu.on("data", (chunk: Buffer) => splitter.push(chunk));
  qemu.on("error", () => {});
  return {
    qemu,
    commands,
    events,
    connect: (timeoutMs = 30_000) =>
      connectQmp({ stream: ours, session: "s", onEvent: (event) => events.push(event), timeoutMs }),
  };
}

describe("the monitor's client", () => {
  it("gives each command its own answer", async () => {
    const scene = createScene((command) => ({ return: command.arguments }));
    const client = await scene.connect();
    assert.deepEqual(await Promise.all([client.execute("a", { n: 1 }), client.execute("b", { n: 2 })]), [
      { n: 1 },
      { n: 2 },
    ]);
  });

  it("passes over half a line and answers that an earlier daemon waited for", async () => {
    const scene = createScene(() => ({ return: "mine" }));
    scene.qemu.write('fo": 1}\n{"return": "of another", "id": "old-1"}\n{"QMP": {}}\n');
    const client = await scene.connect();
    assert.equal(await client.execute("a"), "mine");
  });

  it("works when an earlier daemon has left the negotiation behind it", async () => {
    const scene = createScene(() => ({ return: "yes" }));
    const qemu = scene.qemu;
    qemu.removeAllListeners("data");
    qemu.on("data", (chunk: Buffer) => {
      const { id, execute } = JSON.parse(chunk.toString()) as Command;
      const refused = { error: { class: "CommandNotFound", desc: "Capabilities negotiation is already complete" } };
      qemu.write(`${JSON.stringify({ id, ...(execute === "qmp_capabilities" ? refused : { return: "yes" }) })}\n`);
    });
    assert.equal(await (await scene.connect()).execute("a"), "yes");
  });

  it("tells events and refusals", async () => {
    const scene = createScene(() => ({ error: { class: "GenericError", desc: "no medium" } }));
    const client = await scene.connect();
    scene.qemu.write('{"event": "STOP", "timestamp": {}}\n{"event": "SHUTDOWN", "data": {"reason": "x"}}\n');
    await assert.rejects(client.execute("a"), { code: "HYPERVISOR_FAILED", message: /no medium/ });
    assert.deepEqual(scene.events, [
      { name: "STOP", data: {} },
      { name: "SHUTDOWN", data: { reason: "x" } },
    ]);
  });

  it("does not wait for ever", async () => {
    const scene = createScene(() => undefined);
    const client = await scene.connect(50);
    await assert.rejects(client.execute("a"), { code: "HYPERVISOR_UNRESPONSIVE" });
  });

  it("fails what waits when the monitor goes", async () => {
    const scene = createScene(() => undefined);
    const client = await scene.connect();
    const waiting = assert.rejects(client.execute("a"), { code: "HYPERVISOR_UNRESPONSIVE" });
    client.close();
    await waiting;
    await client.closed;
    await assert.rejects(client.execute("b"), { code: "HYPERVISOR_UNRESPONSIVE" });
  });

  it("survives a hypervisor that has been taken over", async () => {
    const scene = createScene(() => ({ return: 1 }));
    const client = await scene.connect();
    scene.qemu.write(`${"x".repeat(5_000_000)}\nnull\n[1]\n{"event":{}}\n{"error":7,"id":3}\n`);
    assert.equal(await client.execute("a"), 1);
  });
});
