/** The diagnosis and the cardinality over the wire. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { connect } from "node:net";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { CardinalityReader, TelemetryDoctor } from "#api/ports.ts";
import { CheckOutcome, TelemetryService } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { BlixardError } from "#model/errors.ts";
import { startApi, type ApiFixtureOptions } from "#test/support/api-server.ts";

async function startClient(context: TestContext, options: ApiFixtureOptions): Promise<Client<typeof TelemetryService>> {
  const { addresses } = await startApi(context, options);
  const baseUrl = "http://localhost";
  const sessionManager = new Http2SessionManager(baseUrl, {}, { createConnection: () => connect(addresses.unix) });
  context.after(() => sessionManager.abort());
  return createClient(TelemetryService, createGrpcTransport({ baseUrl, sessionManager }));
}

test("each check is told as it is done, with its time, and the diagnosis at the end", async (context) => {
  const goOn = Promise.withResolvers<void>();
  const given: number[] = [];
  const doctor: TelemetryDoctor = {
    async *diagnose({ timeoutMs }) {
      given.push(timeoutMs);
      const check = {
        target: "http://a",
        signal: "traces",
        step: "send",
        message: "seen",
        durationMs: 1_234.567_891,
      } as const;
      yield { kind: "check", check: { ...check, outcome: "ok" } };
      await goOn.promise;
      yield { kind: "check", check: { ...check, outcome: "failed", finding: "no_answer", fix: "look" } };
      const summary = {
        outcome: "failed",
        ok: 1,
        warnings: 0,
        failed: 1,
        skipped: 0,
        traceId: "ab".repeat(16),
      } as const;
      yield { kind: "summary", summary };
    },
  };
  const client = await startClient(context, { doctor });
  const events = client.diagnoseTelemetry({})[Symbol.asyncIterator]();
  const first = await events.next();
  assert.equal(first.value?.event.case, "check");
  assert.deepEqual(
    [first.value.event.value.outcome, first.value.event.value.duration],
    [CheckOutcome.OK, { $typeName: "google.protobuf.Duration", seconds: 1n, nanos: 234_568_000 }],
  );
  goOn.resolve();
  const second = await events.next();
  assert.equal(second.value?.event.case === "check" ? second.value.event.value.finding : "", "no_answer");
  const last = await events.next();
  assert.equal(last.value?.event.case === "diagnosis" ? last.value.event.value.outcome : 0, CheckOutcome.FAILED);
  assert.equal((await events.next()).done, true);
  assert.deepEqual(given, [30_000]);
});

test("a diagnosis is given a time that makes sense, and a caller who leaves ends it", async (context) => {
  const ended = Promise.withResolvers<void>();
  const doctor: TelemetryDoctor = {
    async *diagnose({ signal }) {
      const check = { target: "node", step: "send", message: "", durationMs: 0 } as const;
      yield { kind: "check", check: { ...check, outcome: "ok" } };
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      ended.resolve();
      throw new BlixardError("CANCELLED", "given up");
    },
  };
  const client = await startClient(context, { doctor });
  for (const seconds of [0n, 301n]) {
    const refused = client.diagnoseTelemetry({ timeout: { seconds } })[Symbol.asyncIterator]().next();
    await assert.rejects(refused, (error) => ConnectError.from(error).code === Code.InvalidArgument);
  }
  const controller = new AbortController();
  const events = client.diagnoseTelemetry({}, { signal: controller.signal })[Symbol.asyncIterator]();
  await events.next();
  controller.abort();
  await assert.rejects(events.next());
  await ended.promise;
});

test("cardinality is told with its forecast, for as many VMs and values as are asked for", async (context) => {
  const asked: unknown[] = [];
  const forecast = { seriesWithAdditionalVms: 11, seriesWithAdditionalAttribute: 20, vmsUntilLimit: undefined };
  const cardinality: CardinalityReader = {
    read(options) {
      asked.push(options);
      const metric = { name: "blixard.a", prometheusName: "blixard_a", instrument: "gauge", series: 2, samples: 2 };
      const attributes = [{ name: "blixard.b", distinctValues: 2 }];
      const more = { limit: 10, overflows: 3, perVm: true, attributes, forecast: { ...forecast, vmsUntilLimit: 7 } };
      return { metrics: [{ ...metric, ...more }], series: 2, samples: 2, vms: 1, forecast };
    },
  };
  const client = await startClient(context, { cardinality });
  const answer = await client.getCardinality({});
  assert.equal(answer.metrics[0]?.forecast?.vmsUntilLimit, 7n);
  assert.equal(answer.metrics[0].overflows, 3n);
  assert.equal(answer.metrics[0].attributes[0]?.distinctValues, 2);
  assert.equal(answer.forecast?.vmsUntilLimit, undefined);
  assert.equal(answer.forecast?.seriesWithAdditionalAttribute, 20n);
  await client.getCardinality({ additionalVms: 5, additionalAttributeValues: 3 });
  assert.deepEqual(asked, [
    { additionalVms: 1_000, additionalAttributeValues: 10 },
    { additionalVms: 5, additionalAttributeValues: 3 },
  ]);
});
