/** What is in deploy/prometheus, by Prometheus's own tools and against the registry, the runbooks and the CLI. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse } from "yaml";
import { commandTable } from "#cli/command-table.ts";
import { parseCommandLine } from "#cli/parse-command-line.ts";
import { localLinks, parseSnippets } from "#test/docs/markdown.ts";
import { checkPromql, createCatalogue, gaugeWith } from "#test/support/promql.ts";
import { readRegistry } from "../../scripts/generate/registry.ts";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";

const repositoryDir = join(import.meta.dirname, "../..");
const prometheusDir = join(repositoryDir, "deploy/prometheus");
const runbooksDir = join(repositoryDir, "docs/runbooks");

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

interface TestFile {
  readonly rule_files: readonly string[];
  readonly tests: readonly {
    readonly name: string;
    readonly input_series: readonly { readonly series: string }[];
    readonly promql_expr_test?: readonly { readonly expr: string; readonly exp_samples: readonly unknown[] }[];
  }[];
}

async function readYamlFiles<T>(folder: string): Promise<readonly (readonly [name: string, content: T])[]> {
  const names = (await readdir(join(prometheusDir, folder))).toSorted();
  return Promise.all(
    names.map(async (name) => [name, parse(await readFile(join(prometheusDir, folder, name), "utf8")) as T] as const),
  );
}

const ruleFiles = await readYamlFiles<RuleFile>("rules");
const testFiles = await readYamlFiles<TestFile>("tests");
const rules = ruleFiles.flatMap(([, { groups }]) => groups.flatMap((group) => group.rules));
const alerts = rules.flatMap((rule) => (rule.alert === undefined ? [] : [{ ...rule, alert: rule.alert }]));
const alertNames = [...new Set(alerts.map(({ alert }) => alert))];
const registered = createCatalogue(await readRegistry(join(repositoryDir, "telemetry/registry")));

function promtool(...args: readonly string[]): void {
  const tool = join(findCacheDir(process.env), "root/usr/bin/promtool");
  const { status, error, stdout, stderr } = spawnSync(tool, args, { encoding: "utf8", cwd: prometheusDir });
  assert.equal(status, 0, `promtool ${args.join(" ")}: ${error?.message ?? ""}${stdout}${stderr}`);
}

describe("the configuration", () => {
  let scratchDir: string;
  before(async () => {
    scratchDir = await mkdtemp(join(tmpdir(), "blixard-prometheus-"));
    await cp(prometheusDir, scratchDir, { recursive: true });
  });
  after(() => rm(scratchDir, { recursive: true, force: true }));

  test("is taken by promtool, with its rules", () => promtool("check", "config", "prometheus.yml"));

  test("scrapes nodes one way, and has the others to switch on", async () => {
    const text = await readFile(join(prometheusDir, "prometheus.yml"), "utf8");
    const { scrape_configs: jobs } = parse(text) as { scrape_configs: readonly Record<string, unknown>[] };
    assert.deepEqual(
      jobs.map((job) => Object.keys(job)),
      [["job_name", "http_sd_configs"]],
    );
    // Without a `# ` a line of YAML is YAML, and a line of prose is not.
    const active = text.replaceAll(/^( *)# (?= *(?:- )?(?:[a-z_]+:(?: |$)|targets:))/gm, "$1");
    const everything = parse(active) as { alerting: unknown; scrape_configs: readonly Record<string, unknown>[] };
    assert.ok(everything.alerting !== undefined);
    assert.deepEqual(
      everything.scrape_configs.map((job) => Object.keys(job)),
      [
        ["job_name", "http_sd_configs", "file_sd_configs", "static_configs", "basic_auth", "tls_config"],
        ["job_name", "honor_labels", "static_configs"],
      ],
    );
    for (const file of ["password", "ca.pem"]) await writeFile(join(scratchDir, file), "x");
    const local = active.replaceAll(/\/etc\/prometheus\/blixard-/g, `${scratchDir}/`);
    await writeFile(join(scratchDir, "everything.yml"), local);
    promtool("check", "config", "--syntax-only", join(scratchDir, "everything.yml"));
  });
});

describe("the rules", () => {
  test("are taken by promtool, without duplicates", () => {
    promtool("check", "rules", ...ruleFiles.map(([name]) => `rules/${name}`));
  });

  for (const [name] of testFiles) {
    test(`do what tests/${name} says`, () => promtool("test", "rules", `tests/${name}`));
  }

  const catalogue = withRecorded();

  test("speak of no metric, label or value that there is not", () => {
    const problems = rules.flatMap(({ record, alert, expr }) =>
      checkPromql(expr, catalogue).problems.map((problem) => `${record ?? alert}: ${problem}`),
    );
    assert.deepEqual(problems, []);
  });

  test("are tested with series that there can be", () => {
    const problems = testFiles.flatMap(([file, { tests }]) =>
      tests.flatMap(({ name, input_series: series }) =>
        series.flatMap((one) => {
          const known = checkPromql(`count(${one.series})`, registered);
          return known.problems.map((problem) => `${file}, ${name}: ${problem}`);
        }),
      ),
    );
    assert.deepEqual(problems, []);
  });

  test("write into their texts only labels that their series have", () => {
    const problems = alerts.flatMap(({ alert, expr, labels = {}, annotations = {} }) => {
      const has = checkPromql(expr, catalogue).labels.union(new Set(Object.keys(labels)));
      const named = Object.values(annotations).flatMap((text) => [...text.matchAll(/\$labels\.(\w+)/g)]);
      return named.flatMap(([, label = ""]) => (has.has(label) ? [] : [`${alert}: ${label}`]));
    });
    assert.deepEqual(problems, []);
  });

  test("ask nothing in their texts that is not recorded", () => {
    const asked = alerts.flatMap(({ annotations = {} }) =>
      Object.values(annotations).flatMap((text) => [...text.matchAll(/printf "([\w:]+)\{([^}]*)\}"/g)]),
    );
    assert.ok(asked.length > 0);
    for (const [, metric = "", matchers = ""] of asked) {
      assert.deepEqual(checkPromql(`${metric}{${matchers.replaceAll("%q", '""')}}`, catalogue).problems, []);
    }
  });
});

/** The registry's metrics, and what the rules record, in whatever order they do. */
function withRecorded(): typeof registered {
  let catalogue = registered;
  let open = rules.filter(({ record }) => record !== undefined);
  while (open.length > 0) {
    const later = open.filter((rule) => {
      const { problems, labels } = checkPromql(
        rule.expr,
        catalogue.with(rule.record ?? "", gaugeWith(["job", "instance"])),
      );
      if (problems.length > 0) return true;
      const before = catalogue.families.get(rule.record ?? "")?.labels.keys() ?? [];
      catalogue = catalogue.with(
        rule.record ?? "",
        gaugeWith(new Set([...before, ...labels, ...Object.keys(rule.labels ?? {})])),
      );
      return false;
    });
    if (later.length === open.length) return catalogue; // their problems are told by the test
    open = later;
  }
  return catalogue;
}

describe("every alert", () => {
  for (const name of alertNames) {
    const entries = alerts.filter(({ alert }) => alert === name);

    test(`${name} says how bad it is, what it is and what to do`, () => {
      for (const { labels = {}, annotations = {} } of entries) {
        assert.match(labels["severity"] ?? "", /^(?:critical|warning|info)$/);
        assert.deepEqual(Object.keys(annotations), ["summary", "description", "run", "runbook_url"]);
        assert.match(annotations["summary"] ?? "", /\$labels\./, "whom it is about");
        assert.equal(annotations["runbook_url"], `{{ $externalLabels.runbook_base }}docs/runbooks/${runbookOf(name)}`);
      }
    });

    test(`${name} is tested: it fires, spares the near miss, and resolves`, () => {
      const cases = testFiles.flatMap(([, { tests }]) =>
        tests.map(({ promql_expr_test: checks = [] }) =>
          checks
            .filter(({ expr }) => expr === `ALERTS{alertname="${name}",alertstate="firing"}`)
            .map(({ exp_samples: samples }) => samples.length > 0),
        ),
      );
      const shapes = cases
        .filter((checks) => checks.length > 0)
        .map((checks) => checks.map((fires) => (fires ? "!" : ".")).join(""));
      assert.ok(
        shapes.some((shape) => /^\.+!+\.+$/.test(shape)),
        `quiet, firing and quiet again: ${shapes.join(" ")}`,
      );
      assert.ok(
        shapes.some((shape) => /^\.+$/.test(shape)),
        `a near miss: ${shapes.join(" ")}`,
      );
    });
  }
});

function runbookOf(alert: string): string {
  return `${alert
    .replace(/^Blixard/, "")
    .replaceAll(/(?<!^)[A-Z]/g, "-$&")
    .toLowerCase()}.md`;
}

describe("the runbooks", () => {
  test("are those of the alerts", async () => {
    const names = (await readdir(runbooksDir)).filter((name) => name !== "README.md");
    assert.deepEqual(names.toSorted(), alertNames.map(runbookOf).toSorted());
  });

  test("are all in the list, with their alerts", async () => {
    const list = await readFile(join(runbooksDir, "README.md"), "utf8");
    assert.deepEqual(localLinks(list).toSorted(), alertNames.map(runbookOf).toSorted());
    for (const name of alertNames) assert.ok(list.includes(`[${name}](${runbookOf(name)})`), name);
  });

  for (const name of alertNames) {
    test(`${runbookOf(name)} has all its parts, and names commands and metrics that there are`, async () => {
      const text = await readFile(join(runbooksDir, runbookOf(name)), "utf8");
      assert.ok(text.startsWith(`# ${name}\n`));
      const parts = [...text.matchAll(/^\*\*([A-Z][a-z ]+)\.\*\*/gm)].map(([, part]) => part);
      assert.deepEqual(parts, ["Meaning", "Impact", "Run", "Causes and fixes", "Resolves"]);

      const snippets = parseSnippets(text);
      for (const { info } of snippets) assert.match(info, /^(?:sh|promql|toml)$/);
      const shell = snippets.filter(({ info }) => info === "sh").map((snippet) => snippet.text);
      const first = (alerts.find(({ alert }) => alert === name)?.annotations?.["run"] ?? "").replaceAll(
        "{{ $labels.blixard_vm_name }}",
        "VM",
      );
      assert.ok(
        shell.some((part) => part.includes(first)),
        `what the alert says to run: ${first}`,
      );
      for (const part of shell) {
        const parsed = spawnSync("bash", ["-n"], { input: part, encoding: "utf8" });
        assert.equal(parsed.status, 0, parsed.stderr);
      }
      const inline = [...text.matchAll(/`(blixard [^`\n]+)`/g)].map(([, command = ""]) => command);
      for (const line of [...shell.join("").split("\n"), ...inline]) await checkCommands(line);

      const catalogue = withRecorded();
      for (const { text: query } of snippets.filter(({ info }) => info === "promql")) {
        assert.deepEqual(checkPromql(query, catalogue).problems, []);
      }
      for (const [, metric = ""] of text.matchAll(/`(blixard_\w+)`/g)) {
        assert.ok(registered.families.has(metric) || registered.histograms.has(metric), metric);
      }
    });
  }
});

/** Every `blixard …` of a line, by the real CLI's own parser. */
async function checkCommands(line: string): Promise<void> {
  for (const [, command = ""] of line.matchAll(/(?:^|[|;(]|&& |sudo )\s*blixard ([^|;&)#]+)/g)) {
    const [noun = "", verb = "", ...rest] = command.trim().split(/\s+/);
    const entry = commandTable[noun]?.verbs[verb];
    assert.ok(entry !== undefined, `blixard ${noun} ${verb}`);
    const words = rest.map((word) => word.replaceAll(/["']/g, ""));
    parseCommandLine(`${noun} ${verb}`, entry.summary, await entry.load(), words, 100);
  }
}

test("an alert for each promise of a service level has a fast and a slow arm", () => {
  const burning = Map.groupBy(
    alerts.filter(({ alert }) => alert.endsWith("BudgetBurning")),
    ({ alert }) => alert,
  );
  assert.equal(burning.size, 3);
  for (const entries of burning.values()) {
    assert.deepEqual(
      entries.map(({ labels }) => labels?.["severity"]),
      ["critical", "warning"],
    );
  }
});
