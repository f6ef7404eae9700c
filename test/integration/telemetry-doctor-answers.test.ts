/** The doctor over real sockets: how it reads answers, asks backends, and keeps within its bounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OtlpOptions } from "#telemetry/telemetry-options.ts";
import {
  answer,
  assertOnly,
  diagnose,
  doctorOf,
  everySignalTo,
  receiverFor,
  startHttp,
  startSilence,
} from "#test/support/doctor-scene.ts";
import { freePort } from "#test/support/free-port.ts";

test("what a receiver says of the canary is told as what it means", async (context) => {
  const html = { "content-type": "text/html; charset=utf-8" };
  const cases: readonly (readonly [ReturnType<typeof answer>, string, Partial<OtlpOptions>])[] = [
    [answer(413, "too large"), "request_too_large", {}],
    [answer(429, "slow down"), "throttled", {}],
    [answer(400, "invalid temporality and type combination"), "delta_refused", { temporality: "delta" }],
    [answer(400, "no"), "export_refused", {}],
    [answer(500, "oops"), "backend_failing", {}],
    [answer(503, "later"), "backend_failing", {}],
    [answer(200, "<html>Log in</html>", html), "not_otlp", {}],
    [answer(302, "", { location: "https://elsewhere.example/" }), "redirected", {}],
    [answer(405, "no"), "not_otlp", {}],
    [answer(407, "no"), "proxy_in_between", {}],
    [answer(415, "no"), "encoding_refused", {}],
    [answer(404, "no such page"), "path_not_found", {}],
    [answer(404, "no such page"), "signal_path_missing", { endpointKind: "exact" }],
  ];
  for (const [listener, id, more] of cases) {
    const endpoint = await startHttp(context, listener);
    const options: OtlpOptions = { endpoint, protocol: "http/protobuf", ...more };
    const diagnosis = await diagnose({ destinations: { metrics: [options] } });
    assert.deepEqual(diagnosis.findings, [id], diagnosis.text);
  }
});

test("the fix of a redirect is the endpoint that it leads to, without the path that is appended", async (context) => {
  for (const [location, fix] of [
    ["https://new.example/otlp/v1/metrics", /\(https:\/\/new\.example\/otlp\)/],
    ["/login?next=(x)", /\(http:\/\/127\.0\.0\.1:\d+\/login\)/],
    ["https://[", /see the message/],
  ] as const) {
    const endpoint = await startHttp(context, answer(308, "", { location }));
    const diagnosis = await diagnose({ destinations: { metrics: [{ endpoint, protocol: "http/protobuf" }] } });
    assertOnly(diagnosis, "redirected", fix);
  }
});

test("the canary is read back from every backend that is set, however late it gets there", async (context) => {
  const receiver = await receiverFor(context);
  let asked = 0;
  /** Doubles of Jaeger's and Tempo's APIs: they answer with what the receiver got, at the third question. */
  const double = await startHttp(context, (request, response) => {
    const traceId = /^\/api\/traces\/([0-9a-f]{32})$/.exec(request.url ?? "")?.[1];
    const spans = receiver.spans.filter((span) => span.traceId === traceId);
    const isThere = spans.length > 0 && ++asked > 4;
    const body = JSON.stringify({ data: spans.map(({ name, attributes }) => ({ name, attributes })) });
    answer(isThere ? 200 : 404, isThere ? body : "trace not found")(request, response);
  });
  const destinations = { traces: [{ endpoint: receiver.grpcEndpoint }] };
  const found = await diagnose({ destinations, backends: { jaegerUrl: double, tempoUrl: `${double}/` } });
  assert.deepEqual(found.findings, [], found.text);
  const steps = found.checks.filter(({ step, outcome }) => step === "read_back" && outcome === "ok");
  assert.equal(steps.length, 2);
  const empty = await startHttp(context, answer(404, "trace not found"));
  const lost = await diagnose({ destinations, backends: { tempoUrl: empty }, timing: { readBackMs: 1_200 } });
  assertOnly(lost, "not_read_back", /from the collector to Tempo/);
  const gone = await diagnose({
    destinations,
    backends: { jaegerUrl: `http://127.0.0.1:${await freePort()}` },
    timing: { readBackMs: 600 },
  });
  assertOnly(gone, "backend_unreachable", /URL of Jaeger/);
});

test("a backend that never stops sending, or answers nonsense, is read no further than it must be", async (context) => {
  const receiver = await receiverFor(context);
  const endless = await startHttp(context, (request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, "x")));
    };
    response.on("drain", more);
    more();
    request.resume();
  });
  const nonsense = await startHttp(context, answer(200, '{"data":{"result":{"metric":7}}}'));
  for (const prometheusUrl of [endless, nonsense]) {
    const diagnosis = await diagnose({
      destinations: { metrics: [{ endpoint: receiver.grpcEndpoint }] },
      backends: { prometheusUrl },
      timing: { readBackMs: 600 },
    });
    assertOnly(diagnosis, "backend_unreachable", /Correct the URL of Prometheus/);
  }
});

test("a second diagnosis at the same time is refused; one after the other is not", async (context) => {
  const silence = await startSilence(context);
  const doctor = doctorOf({
    destinations: { traces: [{ endpoint: `http://127.0.0.1:${silence}` }] },
    timing: { sendMs: 300, inquiryMs: 300 },
  });
  const options = { timeoutMs: 60_000, signal: new AbortController().signal };
  const first = doctor.diagnose(options);
  await first.next();
  await assert.rejects(doctor.diagnose(options).next(), { code: "TOO_MANY_REQUESTS" });
  await first.return();
  const again = doctor.diagnose(options);
  assert.equal((await again.next()).done, false);
  await again.return();
});

test("the time of a diagnosis is bounded, and that it was short is a finding", async (context) => {
  const silence = await startSilence(context);
  const destinations = everySignalTo({ endpoint: `http://127.0.0.1:${silence}`, timeoutMs: 60_000 });
  const diagnosis = await diagnose({ destinations, timing: { sendMs: 60_000 }, timeoutMs: 1_000 });
  assertOnly(diagnosis, "deadline_exceeded", /--timeout/);
});

test("a caller who goes away ends the diagnosis", async (context) => {
  const silence = await startSilence(context);
  const controller = new AbortController();
  const doctor = doctorOf({ destinations: { traces: [{ endpoint: `http://127.0.0.1:${silence}` }] } });
  const events = doctor.diagnose({ timeoutMs: 60_000, signal: controller.signal });
  await events.next();
  const rest = (async () => {
    for await (const event of events) assert.equal(event.kind, "check");
  })();
  controller.abort();
  await assert.rejects(rest, { code: "CANCELLED" });
});
