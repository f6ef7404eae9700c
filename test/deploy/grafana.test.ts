/**
 * What is in deploy/grafana: the dashboards as JSON that Grafana takes, every query
 * against the registry and against real Prometheus servers (one with classic, one
 * with native histograms) that scrape a real node with a real guest, and the data
 * sources with their links to each other.
 */
import assert from "node:assert/strict";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import { importDemoImage } from "#test/support/demo-image.ts";
import { freePort } from "#test/support/free-port.ts";
import {
  grafanaDir,
  gridItemsOf,
  isRow,
  linkUrlsOf,
  panelsOf,
  queriesOf,
  readDashboards,
  type ShippedQuery,
  substitute,
  targetsOf,
  variablesOf,
} from "#test/support/grafana-dashboards.ts";
import { startOtlpReceiver, type OtlpReceiver } from "#test/support/otlp-receiver.ts";
import { type Prometheus, startPrometheus } from "#test/support/prometheus.ts";
import { checkPromql, createCatalogue } from "#test/support/promql.ts";
import { withRecordedRules } from "#test/support/recorded-rules.ts";
import { pidsMentioning, TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { generateDashboards } from "../../scripts/dashboards/generate.ts";
import { readRegistry } from "../../scripts/generate/registry.ts";

const DEADLINE_MS = 120_000;
const repositoryDir = join(import.meta.dirname, "../..");
const rulesDir = join(repositoryDir, "deploy/prometheus/rules");

const dashboards = await readDashboards();
const queries = dashboards.flatMap(queriesOf);

interface DatasourceFile {
  readonly datasources: readonly {
    readonly uid: string;
    readonly type: string;
    readonly url: string;
    readonly jsonData: unknown;
  }[];
}

interface VmJson {
  readonly id: string;
  readonly status: { readonly state: string; readonly restarts?: number };
}

const catalogue = await withRecordedRules(
  createCatalogue(await readRegistry(join(repositoryDir, "telemetry/registry"))),
  rulesDir,
);

describe("the dashboards", () => {
  test("are those that the code makes, and the same every time", () => {
    const [once, twice] = [generateDashboards(), generateDashboards()];
    assert.deepEqual([...once], [...twice]);
    assert.deepEqual(
      [...once.keys()].map((path) => path.split("/").at(-1) ?? "").toSorted(),
      dashboards.map(({ file }) => file),
    );
  });

  test("have each a uid of its own, the name of its file", () => {
    assert.deepEqual(
      dashboards.map(({ uid }) => `${uid}.json`),
      dashboards.map(({ file }) => file),
    );
    for (const dashboard of dashboards) assert.equal(dashboard.id, undefined, "an id is a database's own");
  });

  for (const dashboard of dashboards) {
    describe(dashboard.title ?? "", () => {
      const items = gridItemsOf(dashboard);
      const panels = panelsOf(dashboard);

      test("panels have ids and titles of their own", () => {
        const ids = items.map(({ id }) => id);
        assert.equal(new Set(ids).size, ids.length);
        assert.ok(!ids.includes(0) && !ids.includes(undefined));
        for (const { question, titles } of rowsOf(dashboard))
          assert.equal(new Set(titles).size, titles.length, `two panels of one title in “${question}”`);
      });

      test("no panel lies on another, none sticks out, every line is full", () => {
        const taken = new Map<string, string>();
        const widths = Map.groupBy(items, ({ gridPos }) => gridPos?.y);
        for (const line of widths.values())
          assert.equal(
            line.reduce((width, { gridPos }) => width + (gridPos?.w ?? 0), 0),
            24,
            line[0]?.title ?? "",
          );
        for (const { gridPos, title = "" } of items) {
          assert.ok(gridPos !== undefined && gridPos.x + gridPos.w <= 24, title);
          for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
            for (let y: number = gridPos.y; y < gridPos.y + gridPos.h; y++) {
              assert.equal(taken.get(`${x},${y}`), undefined, `${title} lies on ${taken.get(`${x},${y}`)}`);
              taken.set(`${x},${y}`, title);
            }
        }
      });

      test("every row asks a question, every panel explains itself", () => {
        for (const { question, titles } of rowsOf(dashboard)) {
          assert.match(question, /\?/);
          assert.ok(titles.length > 0, question);
        }
        for (const { name, description = "" } of panels) assert.ok(description.length > 20, name);
      });

      test("every variable that is used is there", () => {
        const names = new Set(variablesOf(dashboard).map(({ name }) => name));
        const used = JSON.stringify(dashboard).matchAll(/\$(?:\{(?<braced>\w+)(?::\w+)?\}|(?<bare>[a-z]\w*))/g);
        for (const { groups } of used) {
          const name = groups?.["braced"] ?? groups?.["bare"] ?? "";
          if (!name.startsWith("__")) assert.ok(names.has(name), `$${name}`);
        }
        assert.deepEqual([...names].slice(0, 4), ["datasource", "job", "node", "instance"]);
      });

      test("every link leads to a dashboard that is there, with variables that it has, and keeps the time", () => {
        for (const url of linkUrlsOf(dashboard)) {
          const [, uid = "", parameters = ""] = /^\/d\/([^?]+)\?(.+)$/.exec(url) ?? [];
          const target = dashboards.find((other) => other.uid === uid);
          assert.ok(target !== undefined, url);
          assert.ok(parameters.includes("${__url_time_range}"), url);
          const known = new Set(variablesOf(target).map(({ name }) => name));
          for (const [, set, kept] of parameters.matchAll(/var-(\w+)=|\$\{(\w+):queryparam\}/g))
            assert.ok(known.has(set ?? kept ?? ""), `${url}: ${set ?? kept}`);
        }
        const menu = dashboard.links?.find(({ type }) => type === "dashboards");
        assert.ok(menu !== undefined && menu.includeVars && menu.keepTime);
        for (const tag of menu.tags) assert.ok(dashboard.tags?.includes(tag));
      });

      test("asks for metrics and labels that there are", () => {
        for (const { name, expr } of queriesOf(dashboard))
          assert.deepEqual(checkPromql(expr, catalogue).problems, [], `${name}: ${expr}`);
      });

      test("every series has a name, every number a unit or none, every rate its window from Grafana", () => {
        for (const panel of panels.filter(({ type }) => type === "timeseries" || type === "statetimeline"))
          for (const target of targetsOf(panel))
            assert.ok((target as { legendFormat?: string }).legendFormat !== undefined, panel.name);
        for (const { name, expr, panel } of queries)
          if (panel !== undefined) assert.doesNotMatch(expr, /(?:rate|increase)\([^[]*\[(?!\$__rate_interval)/, name);
      });
    });
  }
});

function rowsOf(dashboard: (typeof dashboards)[number]): readonly { question: string; titles: readonly string[] }[] {
  const rows: { question: string; titles: string[] }[] = [];
  for (const item of gridItemsOf(dashboard)) {
    if (isRow(item)) rows.push({ question: item.title ?? "", titles: [] });
    else rows.at(-1)?.titles.push(`${item.type} ${item.title}`);
  }
  return rows;
}

describe("the data sources", () => {
  const read = async (): Promise<DatasourceFile["datasources"]> => {
    const text = await readFile(join(grafanaDir, "provisioning/datasources/blixard.yaml"), "utf8");
    return (parse(text) as DatasourceFile).datasources;
  };

  test("are those that the dashboards choose from, under the names of the stack", async () => {
    const sources = await read();
    assert.deepEqual(
      sources.map(({ uid, url }) => [uid, url]),
      [
        ["prometheus", "http://prometheus:9090"],
        ["jaeger", "http://jaeger:16686"],
        ["tempo", "http://tempo:3200"],
        ["loki", "http://loki:3100"],
      ],
    );
    const types = new Set(sources.map(({ type }) => type));
    for (const dashboard of dashboards)
      for (const { type, query } of variablesOf(dashboard))
        if (type === "datasource") assert.ok(typeof query === "string" && types.has(query));
  });

  test("link only to each other: exemplars and records to traces, traces to records and metrics", async () => {
    const sources = await read();
    const uids = new Set(sources.map(({ uid }) => uid));
    const linksOf = (uid: string): string[] =>
      [
        ...JSON.stringify(sources.find((source) => source.uid === uid)?.jsonData).matchAll(/"datasourceUid":"(\w+)"/g),
      ].map(([, target = ""]) => target);
    for (const uid of uids) for (const target of linksOf(uid)) assert.ok(uids.has(target), `${uid} -> ${target}`);
    assert.deepEqual(linksOf("prometheus"), ["jaeger", "tempo"]);
    assert.deepEqual(linksOf("loki"), ["jaeger", "tempo"]);
    for (const uid of ["jaeger", "tempo"]) assert.deepEqual(linksOf(uid), ["loki", "prometheus"]);
  });

  test("ask for metrics that there are", async () => {
    const text = JSON.stringify(await read());
    const found = [...text.matchAll(/"query":"((?:[^"\\]|\\.)*blixard_(?:[^"\\]|\\.)*)"/g)];
    assert.equal(found.length, 6);
    for (const [, json = ""] of found) {
      // `$$` is one `$`, and $__tags is what Grafana makes of a span's tags.
      const query = (JSON.parse(`"${json}"`) as string).replaceAll("$$__tags", 'instance="x"');
      assert.deepEqual(checkPromql(query, catalogue).problems, [], query);
    }
  });
});

describe("with a real node and a real guest", () => {
  /**
   * Empty even so, each for the reason that the panel itself gives: what would have to
   * happen needs more than one node, a file of certificates, Loki, or something going wrong.
   */
  const emptyHere = [
    "blixard-consensus: Transactions that met a change",
    "blixard-fleet: Alerts firing",
    "blixard-node: Next certificate expires in",
    "blixard-peers: Heartbeats not confirmed",
    "blixard-peers: Reachability",
    "blixard-rpc: Errors, by status",
    "blixard-telemetry: Failed exports",
    "blixard-telemetry: Measurements and ends of series",
    "blixard-telemetry: Refused or cut off",
  ];

  let receiver: OtlpReceiver;
  let node: TestNode;
  let classic: Prometheus;
  let native: Prometheus;
  let values: Record<string, string> = {};

  before(async () => {
    receiver = await startOtlpReceiver();
    node = await TestNode.start({
      toml: `
[node]
id = "node-1"
bind = "127.0.0.1:0"
[observability.metrics]
runtime_metrics = true
[observability.metrics.http_server]
bind = "127.0.0.1:${await freePort()}"
[observability.tracing]
otlp_endpoint = "${receiver.grpcEndpoint}"
`,
    });
    const target = (await node.endpoints()).metrics;
    const ruleFiles = await quickRules();
    const common = { directory: node.directory, target, ruleFiles };
    classic = await startPrometheus({ ...common, features: ["exemplar-storage"] });
    native = await startPrometheus({ ...common, features: ["exemplar-storage", "native-histograms"] });
    values = {
      __rate_interval: "1m",
      __interval: "15s",
      job: "blixard",
      node: "node-1",
      instance: new URL(target).host,
      vm: "web",
      method: ".+",
    };
    await live();
  });

  after(async () => {
    await native?.[Symbol.asyncDispose]();
    await classic?.[Symbol.asyncDispose]();
    await node?.[Symbol.asyncDispose]();
    await receiver?.[Symbol.asyncDispose]();
  });

  /** The shipped rules, worked out without their pauses. */
  async function quickRules(): Promise<string[]> {
    return Promise.all(
      (await readdir(rulesDir)).map(async (file) => {
        const path = join(node.directory, file);
        const text = await readFile(join(rulesDir, file), "utf8");
        await writeFile(path, text.replaceAll(/^(\s+interval:) .+$/gm, "$1 1s"));
        return path;
      }),
    );
  }

  /** A guest that runs, is killed and comes back; one that panics. */
  async function live(): Promise<void> {
    await importDemoImage(node);
    await run("vm create web --image demo --disk name=data,size=16MiB --wait");
    const { vm: web } = await node.json<{ vm: VmJson }>(["vm", "get", "web"]);
    for (const pid of await pidsMentioning(web.id)) process.kill(pid, "SIGKILL");
    await waitFor(
      "the restart of web",
      async () => {
        const { vm } = await node.json<{ vm: VmJson }>(["vm", "get", "web"]);
        return (vm.status.restarts ?? 0) > 0 && /running/i.test(vm.status.state);
      },
      DEADLINE_MS,
    );
    await run("vm create panics --image demo --restart never --cmdline blixard.workload=crash");
  }

  async function run(command: string): Promise<void> {
    const { exitCode, stderr } = await node.cli(command.split(" "), { timeoutMs: DEADLINE_MS });
    assert.equal(exitCode, 0, stderr);
  }

  async function isEmpty(server: Prometheus, query: ShippedQuery): Promise<boolean> {
    return (await server.query(substitute(query.expr, values))).length === 0;
  }

  for (const form of ["classic", "native"] as const) {
    test(`with ${form} histograms Prometheus takes every query, and each panel has something to show`, async () => {
      const server = form === "classic" ? classic : native;
      const waiting = new Map(queries.flatMap(({ panel }) => (panel === undefined ? [] : [[panel.name, panel]])));
      try {
        await waitFor(
          "every panel to have data",
          async () => {
            for (const query of queries)
              if (!(await isEmpty(server, query)) && query.panel !== undefined) waiting.delete(query.panel.name);
            return [...waiting.keys()].every((name) => emptyHere.includes(name));
          },
          DEADLINE_MS,
        );
      } catch (error) {
        const unexpected = [...waiting.keys()].filter((name) => !emptyHere.includes(name));
        throw new Error(`panels without data: ${unexpected.join("; ")}`, { cause: error });
      }
      for (const { name, description = "" } of waiting.values()) assert.match(description, /\n\nEmpty until /, name);
    });
  }

  test("variables have their values", async () => {
    for (const query of queries.filter(({ name }) => name.includes("$")))
      assert.equal(await isEmpty(classic, query), false, query.name);
  });

  test("the restart of a VM is marked in time", async () => {
    const marks = queries.filter(({ name }) => name.endsWith(": VM restarts"));
    assert.equal(marks.length, dashboards.length);
    for (const query of marks) await waitFor("the mark", async () => !(await isEmpty(classic, query)), DEADLINE_MS);
  });

  test("where points are promised to be traces, Prometheus has exemplars", async () => {
    const promising = queries.filter(({ exemplars }) => exemplars);
    assert.ok(promising.length > 10);
    for (const { name, expr } of promising) {
      const found = await classic.exemplars(substitute(expr, values));
      const ids = found.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels["trace_id"]));
      assert.match(ids[0] ?? "", /^[0-9a-f]{32}$/, name);
    }
  });

  test("the restart of a daemon is marked in time", async () => {
    await node.endDaemon();
    await node.startDaemon();
    const mark = queries.find(({ name }) => name.endsWith(": Daemon restarts"));
    assert.ok(mark !== undefined);
    await waitFor("the mark", async () => !(await isEmpty(classic, mark)), DEADLINE_MS);
  });

  test("as graphs, across all that happened, Prometheus takes every query too", async () => {
    const nowSeconds = Date.now() / 1000;
    for (const { url } of [classic, native])
      for (const { name, expr } of queries) {
        const body = new URLSearchParams({
          query: substitute(expr, values),
          start: String(nowSeconds - 120),
          end: String(nowSeconds),
          step: "5",
        });
        const answer = (await (await fetch(`${url}/api/v1/query_range`, { method: "POST", body })).json()) as object;
        assert.partialDeepStrictEqual(answer, { status: "success" }, name);
      }
  });
});
