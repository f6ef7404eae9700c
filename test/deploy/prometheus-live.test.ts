/**
 * The shipped rules over what a real Prometheus has of a real node, found by a file that the node's discovery made:
 * all of them can be worked out, and a node that is killed is missed by its name until it is back.
 */
import assert from "node:assert/strict";
import { readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Prometheus, startPrometheus } from "#test/support/prometheus.ts";
import { TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";

const DEADLINE_MS = 120_000;
const rulesDir = join(import.meta.dirname, "../../deploy/prometheus/rules");

let node: TestNode;
let prometheus: Prometheus;

before(async () => {
  node = await TestNode.start({
    toml: `
[node]
id = "node-1"
bind = "127.0.0.1:0"
[runtime]
driver = "simulated"
[observability.metrics]
runtime_metrics = true
[observability.metrics.http_server]
bind = "127.0.0.1:0"
`,
  });
  await writeTargets();
  prometheus = await startPrometheus({
    directory: node.directory,
    ruleFiles: await impatientRules(),
    scrapeConfig: `    file_sd_configs: [{ files: [${targetsFile()}], refresh_interval: 1s }]\n`,
  });
  await node.importDisk("demo");
  for (const command of ["vm create web --image demo --wait", "vm stop web --wait"]) {
    const { exitCode, stderr } = await node.cli(command.split(" "));
    assert.equal(exitCode, 0, stderr);
  }
});

after(async () => {
  await prometheus?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
});

function targetsFile(): string {
  return join(node.directory, "targets.json");
}

/** What docs/integrations/prometheus.md tells to do. */
async function writeTargets(): Promise<void> {
  const { metrics } = await node.endpoints();
  // Until it knows its cluster a node says 503.
  const list = await waitFor(
    "the node's targets",
    async () => {
      const answer = await fetch(new URL("/discovery/prometheus", metrics));
      const text = await answer.text();
      return answer.ok && text;
    },
    DEADLINE_MS,
  );
  await writeFile(`${targetsFile()}.new`, list);
  await rename(`${targetsFile()}.new`, targetsFile());
}

/** The shipped rules without their pauses. */
async function impatientRules(): Promise<string[]> {
  return Promise.all(
    (await readdir(rulesDir)).map(async (name) => {
      const text = await readFile(join(rulesDir, name), "utf8");
      const file = join(node.directory, name);
      await writeFile(file, text.replaceAll(/^( +interval:) .*$/gm, "$1 1s").replaceAll(/^( +for:) .*$/gm, "$1 0s"));
      return file;
    }),
  );
}

/** The sum of a query's result; undefined while there is none. */
async function valueOf(query: string): Promise<number | undefined> {
  const [first] = await prometheus.query(`sum(${query})`);
  return first === undefined ? undefined : Number(first.value[1]);
}

test("every rule can be worked out, and what they record is never NaN", async () => {
  await waitFor(
    "recorded service levels",
    async () => {
      // A rate is of calls after the first, which only begins the series.
      await node.json(["vm", "list"]);
      const calls = (await valueOf('blixard:slo_total:rate5m{slo="api_availability"}')) ?? 0;
      return calls > 0 && (await valueOf('blixard:slo_burn:rate1h{slo="api_availability"}')) === 0;
    },
    DEADLINE_MS,
  );
  assert.equal(await valueOf('blixard:slo_bad:rate5m{slo="vm_availability"}'), 0);
  await waitFor(
    "all rules",
    async () => (await prometheus.rules()).every(({ health }) => health !== "unknown"),
    DEADLINE_MS,
  );
  const rules = await prometheus.rules();
  assert.ok(rules.length > 60);
  assert.deepEqual(
    rules.filter(({ health }) => health !== "ok"),
    [],
  );
  const recorded = await prometheus.query('{__name__=~"blixard:.+"}');
  assert.deepEqual(
    recorded.filter(({ value }) => value[1] === "NaN"),
    [],
  );
  const isCritical = ({ labels }: { labels: Readonly<Record<string, string>> }) => labels["severity"] === "critical";
  await waitFor("peace", async () => !(await prometheus.alerts()).some(isCritical), DEADLINE_MS);
});

test("a node that is killed is missed by its name, until it is back", async () => {
  await waitFor("the node to be known", async () => (await valueOf("blixard:node_known:group")) === 1, DEADLINE_MS);
  const findLost = async () =>
    (await prometheus.alerts()).find(({ labels }) => labels["alertname"] === "BlixardNodeLost");
  assert.equal(await findLost(), undefined);

  await node.endDaemon("SIGKILL");
  const lost = await waitFor(
    "the alert",
    async () => {
      const alert = await findLost();
      return alert?.state === "firing" ? alert : undefined;
    },
    DEADLINE_MS,
  );
  assert.equal(lost.labels["blixard_node_id"], "node-1");
  assert.equal(lost.labels["job"], "blixard/blixard");
  assert.match(lost.labels["instance"] ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-5/);
  assert.equal(lost.annotations["summary"], "Node node-1 is lost");
  assert.equal(lost.annotations["runbook_url"], "docs/runbooks/node-lost.md");

  await node.startDaemon();
  await writeTargets();
  await waitFor("the node to be found again", async () => (await findLost()) === undefined, DEADLINE_MS);
});
