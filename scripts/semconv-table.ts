/**
 * Makes `telemetry/upstream.json`, the table of upstream's names that the registry is
 * checked against, from a checkout of OpenTelemetry's semantic conventions:
 *
 *   git clone https://github.com/open-telemetry/semantic-conventions
 *   node_modules/.bin/node scripts/semconv-table.ts semantic-conventions [package]
 *
 * `package`: an unpacked `@opentelemetry/semantic-conventions` of npm, where it is newer
 * than the checkout; then its renames, new names and stability are laid over it.
 *
 * Facts only: names, types, units, instruments, stability, deprecation, requirement
 * levels; no descriptions. Run it when upstream releases, and look at the difference.
 */
import { execFileSync } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import {
  buildUpstreamTable,
  formatUpstreamTable,
  overlayRelease,
  parseReleasedNames,
} from "./generate/upstream-model.ts";
import type { UpstreamTable } from "./generate/upstream.ts";

const [directory, packageDirectory] = process.argv.slice(2);
if (directory === undefined) {
  process.stderr.write("usage: semconv-table.ts CHECKOUT [PACKAGE]\n");
  process.exit(2);
}
const model = join(directory, "model");
const documents: unknown[] = [];
let version = "unknown";
for (const name of (await readdir(model, { recursive: true })).toSorted()) {
  if (!name.endsWith(".yaml")) continue;
  const document: unknown = parse(await readFile(join(model, name), "utf8"), { merge: true });
  if (name === "manifest.yaml") version = /schemas\/([\w.-]+)/.exec(JSON.stringify(document))?.[1] ?? version;
  else documents.push(document);
}
const commit = execFileSync("git", ["-C", directory, "rev-parse", "HEAD"], { encoding: "utf8" }).trim();
const built = buildUpstreamTable(documents, { version, commit });
const table = packageDirectory === undefined ? built : await withRelease(built, packageDirectory);
const target = join(import.meta.dirname, "../telemetry/upstream.json");
await writeFile(target, formatUpstreamTable(table));
const { attributes, metrics, spans, events, entities } = table;
const counts = Object.entries({ attributes, metrics, spans, events, entities })
  .map(([kind, names]) => `${Object.keys(names).length} ${kind}`)
  .join(", ");
process.stdout.write(`${target}: ${table.version} at ${commit}: ${counts}\n`);

async function withRelease(built: UpstreamTable, folder: string): Promise<UpstreamTable> {
  const { version: released } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { version: string };
  const files = ["attributes", "metrics", "events"].flatMap((kind) =>
    ["stable", "experimental"].map((grade) => join(folder, "dist", `${grade}_${kind}.d.mts`)),
  );
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8").catch(() => "")));
  return overlayRelease(built, texts.flatMap(parseReleasedNames), released);
}
