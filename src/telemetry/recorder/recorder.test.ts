import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { RecordedSpan } from "#model/recorded-span.ts";
import { buildSpan } from "#test/support/spans.ts";
import { ingestLimits } from "./ingest.ts";
import { createRecorder, type RecorderOptions, type RecordingPipeline } from "./recorder.ts";

const failed = { status: { code: "error", message: "broken" } } as const;

function start(overrides: Partial<RecorderOptions> = {}): { recorder: RecordingPipeline; exported: RecordedSpan[] } {
  const exported: RecordedSpan[] = [];
  const recorder = createRecorder({
    resource: { attributes: { "service.name": "blixard" } },
    samplingRatio: 0,
    slowThresholdsMs: { "vm.start": 100 },
    exportSpan: (span) => exported.push(span),
    now: Date.now,
    ...overrides,
  });
  return { recorder, exported };
}

const newTraceId = (): string => randomBytes(16).toString("hex");

test("a trace that is not exported can still be read, in order of start", () => {
  const { recorder, exported } = start();
  const traceId = newTraceId();
  const child = buildSpan({ traceId, name: "child", startUnixNano: 2_000n });
  const root = buildSpan({ traceId, name: "root", startUnixNano: 1_000n });
  recorder.record(child, false);
  recorder.record(root, false);
  assert.deepEqual(recorder.trace(traceId), { spans: [root, child], droppedSpans: 0, exported: false });
  assert.deepEqual(exported, []);
});

test("a sampled span is exported as it ends", () => {
  const { recorder, exported } = start();
  const span = buildSpan();
  recorder.record(span, true);
  assert.deepEqual(exported, [span]);
  assert.equal(recorder.trace(span.traceId)?.exported, true);
});

test("an error exports the whole trace: what ended before it, itself, and what ends later, each once", () => {
  const { recorder, exported } = start();
  const traceId = newTraceId();
  const before = buildSpan({ traceId, name: "before" });
  const error = buildSpan({ traceId, name: "error", ...failed });
  const after = buildSpan({ traceId, name: "after", ...failed });
  recorder.record(before, false);
  assert.equal(recorder.isPromoted(traceId), false);
  recorder.record(error, false);
  assert.equal(recorder.isPromoted(traceId), true);
  recorder.record(after, false);
  recorder.record(buildSpan({ name: "another trace" }), false);
  assert.deepEqual(exported, [before, error, after]);
});

test("an operation over its threshold exports its trace, one below it does not", () => {
  const { recorder, exported } = start();
  const lasting = (name: string, durationMs: bigint): RecordedSpan =>
    buildSpan({ name, startUnixNano: 1n, endUnixNano: 1n + durationMs * 1_000_000n });
  recorder.record(lasting("vm.start", 99n), false);
  recorder.record(lasting("vm.stop", 5_000n), false);
  assert.deepEqual(exported, []);
  recorder.record(lasting("vm.start", 101n), false);
  assert.equal(exported.length, 1);
});

test("the ring stays within its budget and loses whole traces, the longest quiet first", () => {
  const { recorder } = start({ limits: { maximumSpans: 40 } });
  const traceIds = Array.from({ length: 10 }, newTraceId);
  for (const traceId of traceIds)
    for (let index = 0; index < 5; index++) recorder.record(buildSpan({ traceId }), false);
  const kept = traceIds.filter((traceId) => recorder.trace(traceId) !== undefined);
  assert.deepEqual(kept, traceIds.slice(2));
  for (const traceId of kept) assert.equal(recorder.trace(traceId)?.spans.length, 5);
  assert.deepEqual(
    { ...recorder.usage(), bytes: 0 },
    { spans: 40, bytes: 0, traces: 8, maximumSpans: 40, droppedSpans: 10 },
  );
});

test("the ring is bounded in bytes too", () => {
  const { recorder } = start({ limits: { maximumBytes: 100_000 } });
  for (let index = 0; index < 100; index++)
    recorder.record(buildSpan({ attributes: { text: "x".repeat(5_000) } }), false);
  assert.ok(recorder.usage().bytes <= 100_000);
  assert.ok(recorder.usage().spans > 0);
});

test("a thousand polls do not wash away the trace of a create", () => {
  const { recorder } = start({ limits: { maximumSpans: 100 } });
  const create = newTraceId();
  for (let index = 0; index < 20; index++) recorder.record(buildSpan({ traceId: create }), false);
  for (let index = 0; index < 1_000; index++) recorder.record(buildSpan(), false);
  assert.equal(recorder.trace(create)?.spans.length, 20);
  assert.ok(recorder.usage().spans <= 100);
});

test("one endless trace cannot take the whole ring, and says what it lost", () => {
  const { recorder, exported } = start({ limits: { maximumSpansPerTrace: 10 } });
  const traceId = newTraceId();
  for (let index = 0; index < 15; index++) recorder.record(buildSpan({ traceId }), true);
  assert.equal(recorder.trace(traceId)?.spans.length, 10);
  assert.equal(recorder.trace(traceId)?.droppedSpans, 5);
  assert.equal(exported.length, 15, "export does not depend on the room in the ring");
});

test("the CLI's spans join the trace under the CLI's own name and are exported like the rest of it", () => {
  const { recorder, exported } = start();
  const traceId = newTraceId();
  recorder.record(buildSpan({ traceId }), true);
  const resource = { attributes: { "service.name": "blixard", "process.pid": 7 } };
  const fromCli = buildSpan({ traceId, resource });
  const result = recorder.ingest([fromCli, fromCli], { serviceName: "blixard-cli" });
  assert.deepEqual(result, { accepted: 2, rejected: 0 });
  assert.equal(exported.length, 2, "a span sent twice is exported once");
  assert.deepEqual(exported[1]?.resource.attributes, { "process.pid": 7, "service.name": "blixard-cli" });
});

test("the CLI's spans are of the cluster and the environment of the node that takes them, whatever they claim", () => {
  const place = { "service.namespace": "edge", "deployment.environment.name": "staging" };
  const { recorder } = start({ resource: { attributes: { ...place, "service.name": "blixard", "host.name": "h" } } });
  const fromCli = buildSpan({
    resource: { attributes: { "service.name": "x", "deployment.environment.name": "production" } },
  });
  recorder.ingest([fromCli], { serviceName: "blixard-cli" });
  const [kept] = recorder.trace(fromCli.traceId)?.spans ?? [];
  assert.deepEqual(kept?.resource.attributes, { ...place, "service.name": "blixard-cli" });
});

test("spans from outside cannot force a trace to be exported", () => {
  const { recorder, exported } = start();
  const span = buildSpan(failed);
  recorder.ingest([span], { serviceName: "blixard-cli" });
  assert.equal(recorder.trace(span.traceId)?.spans.length, 1);
  assert.deepEqual(exported, []);
});

test("broken spans from outside are left out and huge ones are cut", () => {
  const { recorder } = start();
  const now = BigInt(Date.now()) * 1_000_000n;
  const broken = [
    buildSpan({ traceId: "0".repeat(32) }),
    buildSpan({ traceId: "XYZ" }),
    buildSpan({ spanId: "0".repeat(16) }),
    buildSpan({ parentSpanId: "1" }),
    buildSpan({ name: "" }),
    buildSpan({ startUnixNano: now, endUnixNano: now - 1n }),
    buildSpan({ startUnixNano: 0n, endUnixNano: 1n }),
    buildSpan({ startUnixNano: now, endUnixNano: now * 2n }),
  ];
  assert.deepEqual(recorder.ingest(broken, { serviceName: "x" }), { accepted: 0, rejected: broken.length });

  const huge = buildSpan({
    name: "n".repeat(10_000),
    attributes: Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`key.${index}`, "v".repeat(100_000)])),
    links: Array.from({ length: 100 }, () => ({ traceId: newTraceId(), spanId: "b".repeat(16), attributes: {} })),
  });
  recorder.ingest([huge], { serviceName: "x" });
  const [kept] = recorder.trace(huge.traceId)?.spans ?? [];
  assert.equal(kept?.name.length, ingestLimits.nameLength);
  assert.equal(Object.keys(kept.attributes).length, ingestLimits.attributes);
  assert.equal(String(kept.attributes["key.0"]).length, ingestLimits.valueLength);
  assert.equal(kept.links.length, ingestLimits.links);

  const many = Array.from({ length: 1_000 }, () => buildSpan());
  assert.deepEqual(recorder.ingest(many, { serviceName: "x" }), { accepted: 256, rejected: 744 });
});
