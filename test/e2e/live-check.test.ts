/**
 * A node lives a full life with real guests, and everything it sends is held against the
 * registry, both ways: nothing is emitted that is not registered as it is emitted, and
 * what is registered is emitted, or stands in the table below with the reason.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { readRegistry, type Registry } from "../../scripts/generate/registry.ts";
import { prometheusLabelName, prometheusMetricName } from "#telemetry/exposition/prometheus-names.ts";
import { fullConfiguration, liveFully, placeVariables } from "#test/support/full-life.ts";
import { checkLive, registeredNames, type LiveCheck } from "#test/support/live-check.ts";
import { startOtlpReceiver, type OtlpReceiver } from "#test/support/otlp-receiver.ts";
import { TestNode } from "#test/support/test-node.ts";

interface Unseen {
  readonly why: string;
  /** It depends on the machine whether it is seen; the others are never seen, or the table is wrong. */
  readonly varies?: boolean;
}

const overflow = { why: "needs a metric over its limit; src/telemetry/metrics has the tests" };
const lone = { why: "a lone member has no other leader; test/integration/etcd-signals.test.ts" };
const certificate = { why: "needs a certificate; src/daemon has the tests, test/e2e/discovery.test.ts sees it" };
const place = { why: "only in a container, or where the firmware says it; src/telemetry/resource", varies: true };
const mistake = { why: "only when a program measures what is no number; src/telemetry/metrics has the tests" };

/** What is registered and not seen in this life. */
const UNSEEN: Readonly<Record<string, Unseen>> = {
  "metric blixard.raft.apply.duration": { why: "etcd counts it from 3.6 on only", varies: true },
  "metric blixard.node.certificate.expiration.timestamp": certificate,
  "metric blixard.telemetry.spool.dropped": { why: "needs an outage that is longer than the spool" },
  "metric blixard.telemetry.scrape.rejected": { why: "needs a hostile scraper; src/telemetry/http has them" },
  "metric blixard.telemetry.series.overflows": overflow,
  "metric blixard.telemetry.tombstones.dropped": overflow,
  "metric blixard.telemetry.measurements.dropped": mistake,
  "event blixard.store.leader_changed": lone,
  "event blixard.telemetry.destination_state": { why: "said on stderr only: it must not go where the trouble is" },
  "event rpc.server.call.exception": { why: "what fails within a call is told by the span inside that failed first" },
  "entity container": place,
  "attribute container.id": place,
  "attribute host.type": place,
  "attribute blixard.certificate.role": certificate,
  "attribute blixard.store.member_id": lone,
  "attribute blixard.store.leader_id": lone,
  "attribute blixard.telemetry.attribute": { why: "names a log attribute that is not registered" },
  "attribute blixard.telemetry.rejection_reason": { why: "on blixard.telemetry.scrape.rejected" },
  "attribute blixard.telemetry.drop_reason": mistake,
  "attribute blixard.telemetry.item_count": { why: "needs a message that repeats too often; src/telemetry/logging" },
  "attribute db.response.status_code": {
    why: "only when the last of a call's attempts is answered with a failure; src/store/etcd/call-failure.test.ts",
    varies: true,
  },
  "attribute otel.metric.overflow": overflow,
  "attribute process.exit.code": { why: "a member that is killed has none" },
};

const SCOPE_LABELS = ["otel_scope_name", "otel_scope_version", "otel_scope_schema_url"];
let receiver: OtlpReceiver;
let node: TestNode;
let registry: Registry;
let result: LiveCheck;
let page = "";

before(async () => {
  registry = await readRegistry(join(import.meta.dirname, "../../telemetry/registry"));
  receiver = await startOtlpReceiver();
  node = await TestNode.start({
    toml: fullConfiguration,
    environment: {
      ...placeVariables,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.grpcEndpoint,
      OTEL_METRIC_EXPORT_INTERVAL: "500",
    },
  });
  ({ page } = await liveFully(node, receiver));
  result = checkLive(registry, receiver);
});
after(async () => {
  await node?.[Symbol.asyncDispose]();
  await receiver?.[Symbol.asyncDispose]();
});

describe("what a node emits in a full life", () => {
  test("is registered, with the instrument, unit, kind, attributes and values that the registry has", () => {
    assert.deepEqual(
      result.findings.map(({ id, subject, message }) => `${id}: ${subject}: ${message}`),
      [],
    );
  });

  test("is on the metrics page under the names that the registry gives, with no other labels", () => {
    const known = new Map(
      registry.metrics.map((metric) => [prometheusMetricName(metric).replace(/_(total|info)$/, ""), metric.attributes]),
    );
    const families = [...page.matchAll(/^# TYPE (\S+) /gm)].map(([, name = ""]) => name);
    assert.ok(families.length > 100);
    assert.deepEqual(
      families.filter((name) => !known.has(name) && name !== "target"),
      [],
    );
    for (const [, name = "", labels = ""] of page.matchAll(/^([a-z_0-9]+)\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\} /gm)) {
      const attributes = known.get(families.findLast((family) => name.startsWith(family)) ?? "");
      if (attributes === undefined) continue;
      const allowed = new Set([...attributes.map((one) => prometheusLabelName(one.name)), "le", ...SCOPE_LABELS]);
      const given = [...labels.matchAll(/([a-z_0-9]+)="(?:[^"\\]|\\.)*"/g)].map(([, label = ""]) => label);
      assert.deepEqual(
        given.filter((label) => !allowed.has(label)),
        [],
        name,
      );
    }
  });

  test("is all that is registered, but for what has a reason", () => {
    const missing = registeredNames(registry).filter((name) => !result.seen.has(name) && !(name in UNSEEN));
    assert.deepEqual(missing, []);
  });

  test("is nothing of what is said not to be seen", () => {
    const names = new Set(registeredNames(registry));
    const wrong = Object.keys(UNSEEN).filter(
      (name) => !names.has(name) || (UNSEEN[name]?.varies !== true && result.seen.has(name)),
    );
    assert.deepEqual(wrong, []);
  });
});
