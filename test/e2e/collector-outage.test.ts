/**
 * A node whose collector is away when VMs are made, and that is killed before it comes
 * back: the traces of that time arrive all the same, once the node runs again.
 */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { startOtlpReceiver } from "#test/support/otlp-receiver.ts";
import { scrapePage } from "#test/support/scrape-page.ts";
import { TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";

const VMS = ["web", "db", "queue"];

test("VMs made while the collector is away are traced there after a kill, a restart and its return", async () => {
  const before = await startOtlpReceiver();
  const port = Number(new URL(before.grpcEndpoint).port);
  await using node = await TestNode.prepare({
    toml: `
[node]
id = "node-1"
bind = "127.0.0.1:0"
[runtime]
driver = "simulated"
[observability.metrics.http_server]
enabled = true
bind = "127.0.0.1:0"
[observability.tracing]
otlp_endpoint = "http://127.0.0.1:${port}"
`,
  });
  await node.startDaemon();
  await node.importDisk("demo");
  await before.waitFor(({ spans, logs }) => spans.length > 0 && logs.length > 0);
  await before[Symbol.asyncDispose]();

  const ids: string[] = [];
  for (const name of VMS) {
    const vm = await node.json<{ readonly id: string }>(["vm", "create", name, "--image", "demo", "--wait"]);
    ids.push(vm.id);
  }
  // A kill takes with it what is not on disk yet: what waits for company, or for an answer.
  await waitFor("everything to be on disk", async () => {
    const page = await readPage(node);
    const queued = sumOf(page, "otel_sdk_processor_span_queue_size") + sumOf(page, "otel_sdk_exporter_span_inflight");
    return queued === 0 && sumOf(page, "blixard_telemetry_spool_item_count") > 0;
  });
  assert.notEqual(await countSegments(node, "traces"), 0);
  await node.endDaemon("SIGKILL");

  await using after = await startOtlpReceiver({ grpcPort: port });
  const backMs = Date.now();
  await node.startDaemon();
  const isTraced = (id: string): boolean =>
    after.spans.some(
      (span) => span.attributes["blixard.vm.id"] === id && Number(span.message.startTimeUnixNano / 1_000_000n) < backMs,
    );
  await waitFor("the traces of the outage", () => ids.every((id) => isTraced(id)), 60_000);
  const gapStart = (signal: string): number => {
    const gap = after.logs.find(
      (log) => log.eventName === "blixard.telemetry.gap" && log.attributes["blixard.telemetry.signal"] === signal,
    );
    return Date.parse(String(gap?.attributes["blixard.telemetry.gap.from"]));
  };
  await waitFor("the gap to be told", () => gapStart("traces") < backMs, 60_000);
  await waitFor("an empty spool", async () => (await countSegments(node, "traces")) === 0, 60_000);
  assert.deepEqual(after.problems, []);
});

async function readPage(node: TestNode): Promise<string> {
  const { metrics } = await node.endpoints();
  return scrapePage(metrics);
}

/** Over all series of a family. */
function sumOf(page: string, family: string): number {
  return page
    .split("\n")
    .filter((line) => line.startsWith(`${family}{`) || line.startsWith(`${family} `))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** Files that wait, over all destinations of a signal. */
async function countSegments(node: TestNode, signal: string): Promise<number> {
  const directory = join(node.dataDirectory, "telemetry", "spool", signal);
  const names = await readdir(directory, { recursive: true });
  return names.filter((name) => name.endsWith(".segment")).length;
}
