/**
 * Every snippet in the documents works. The words behind the fence say how that is seen:
 *
 *   toml config[=FILE]  a configuration: it loads; with FILE the document's node uses it
 *   toml vm[=FILE]      a VM file: it parses; with FILE later commands find it
 *   sh start            starts the document's node (again)
 *   sh node             runs against the document's node, a real one with real guests
 *   sh parse            needs what a test must not have (a terminal, the network, an installation,
 *                       the whole suite): it is shell, and what it calls of ours exists
 *   yaml [prometheus]   parses, and promtool takes it
 *   json                parses
 *   text                something shown, not checked
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { parse as parseYaml } from "yaml";
import { commandTable } from "#cli/command-table.ts";
import { parseVmFile } from "#cli/vm-file.ts";
import { parseConfig } from "#config/config.ts";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";
import { DocumentSession } from "./document-session.ts";
import { parseSnippets, type Snippet } from "./markdown.ts";

const repositoryDir = resolve(import.meta.dirname, "../..");
const documents = [
  "README.md",
  "CONTRIBUTING.md",
  ...["docs", "docs/integrations"].flatMap((folder) =>
    readdirSync(join(repositoryDir, folder))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `${folder}/${name}`),
  ),
  "docs/reference/api.md",
];

for (const document of documents) {
  test(`every snippet in ${document} works`, async () => {
    const snippets = parseSnippets(readFileSync(join(repositoryDir, document), "utf8"));
    assert.ok(snippets.length > 0, "it has snippets");
    const isRun = snippets.some(({ info }) => info === "sh node" || info === "sh start");
    await using session = isRun ? await DocumentSession.open() : undefined;
    const hasOwnStart = snippets.some(({ info }) => info === "sh start");
    if (!hasOwnStart) await session?.ensureStarted();
    for (const snippet of snippets) {
      try {
        await follow(snippet, session);
      } catch (error) {
        throw new Error(`${document}:${snippet.line}: \`\`\`${snippet.info}`, { cause: error });
      }
    }
    const exportsTraces = snippets.some(({ info, text }) => info.startsWith("toml config=") && text.includes("4317"));
    if (exportsTraces) await session?.receiver.waitFor(({ spans }) => spans.some(({ name }) => name === "guest.ready"));
  });
}

test("a block without a known word behind its fence is refused", async () => {
  for (const info of ["", "sh", "bash", "toml", "js"]) {
    await assert.rejects(follow({ line: 1, info, text: "" }, undefined), /unknown/);
  }
});

async function follow({ info, text }: Snippet, session: DocumentSession | undefined): Promise<void> {
  const [, kind = "", , file] = /^(toml config|toml vm)(=(\S+))?$/.exec(info) ?? [undefined, info];
  switch (kind) {
    case "toml config":
      parseConfig({
        file: { path: file ?? "blixard.toml", text },
        environment: secretsIn(text),
        readSubstitute: () => "secret",
        host,
      });
      if (file !== undefined) await session?.write(file, text);
      return;
    case "toml vm":
      parseVmFile(file ?? "vm.toml", text, {});
      if (file !== undefined) await session?.write(file, text);
      return;
    case "sh start":
      await session?.start(text);
      return;
    case "sh node":
      await session?.run(text);
      return;
    case "sh parse":
      checkShell(text);
      return;
    case "yaml":
      parseYaml(text);
      return;
    case "yaml prometheus":
      await checkPrometheusConfig(text);
      return;
    case "json":
      JSON.parse(text);
      return;
    case "text":
      return;
    default:
      throw new TypeError(`unknown: \`\`\`${info}`);
  }
}

const host = { isRoot: true, workingDirectory: "/", hostName: "node-1" };

/** Every `${env:NAME}` of a document, set. */
function secretsIn(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/\$\{env:(\w+)\}/g)].map((match) => [match[1] ?? "", "secret"]));
}

const NPMS_OWN = new Set(["ci", "install", "pack"]);

function checkShell(text: string): void {
  const parsed = spawnSync("bash", ["-n"], { input: text, encoding: "utf8" });
  assert.equal(parsed.status, 0, parsed.stderr);
  const manifest = JSON.parse(readFileSync(join(repositoryDir, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  for (const [, script = ""] of text.matchAll(/\bnpm (?:run )?([a-z]+)\b/g)) {
    if (!NPMS_OWN.has(script)) assert.ok(manifest.scripts[script] !== undefined, `npm script ${script}`);
  }
  for (const [, noun = "", verb = ""] of text.matchAll(/\bblixard (?!blixard)([a-z]+) ([a-z]+)/g)) {
    assert.ok(commandTable[noun]?.verbs[verb] !== undefined, `blixard ${noun} ${verb}`);
  }
}

async function checkPrometheusConfig(text: string): Promise<void> {
  const promtool = join(findCacheDir(process.env), "root", "usr", "bin", "promtool");
  const directory = await mkdtemp(join(tmpdir(), "blixard-docs-"));
  try {
    const file = join(directory, "prometheus.yml");
    await writeFile(file, text);
    const checked = spawnSync(promtool, ["check", "config", file], { encoding: "utf8" });
    assert.equal(checked.status, 0, `${checked.error?.message ?? ""}${checked.stdout}${checked.stderr}`);
  } finally {
    await rm(directory, { recursive: true });
  }
}
