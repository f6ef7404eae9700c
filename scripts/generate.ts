/**
 * Everything that is generated: TypeScript from `proto/`; from `telemetry/registry/`
 * the signal descriptors and their reference; from the configuration's schema and
 * the CLI's commands theirs; Grafana's dashboards from `scripts/dashboards/`, which
 * name metrics by the descriptors and come last therefore.
 *
 *   node_modules/.bin/node scripts/generate.ts            bring the work tree up to date
 *   node_modules/.bin/node scripts/generate.ts --check    fail on any difference, change nothing
 *
 * It needs no network. All of `src/gen` and `deploy/grafana/dashboards` is generated;
 * nothing else may live there.
 */
import { join } from "node:path";
import { applyOutput, compareOutput, type GeneratedFiles } from "./generate/output.ts";
import { generateCliReference } from "./generate/cli-reference.ts";
import { generateConfigurationReference } from "./generate/configuration-reference.ts";
import { isFailure } from "./generate/finding.ts";
import { generateProtobuf } from "./generate/protobuf.ts";
import { checkRegistry } from "./generate/registry-check.ts";
import { generateRegistryCode } from "./generate/registry-code.ts";
import { generateRegistryReference } from "./generate/registry-reference.ts";
import { readRegistry } from "./generate/registry.ts";
import { readUpstreamTable } from "./generate/upstream.ts";

const root = join(import.meta.dirname, "..");

async function main(argv: readonly string[]): Promise<number> {
  const check = argv.includes("--check");
  const registry = await readRegistry(join(root, "telemetry/registry"));
  const upstream = await readUpstreamTable(join(root, "telemetry/upstream.json"));
  const findings = checkRegistry(registry, upstream).filter(isFailure);
  for (const { id, subject, message, file } of findings) {
    process.stderr.write(`telemetry/registry/${file}: ${subject}: ${id}: ${message}\n`);
  }
  if (findings.length > 0) return 1;

  const code = new Map([
    ...(await generateProtobuf(root)),
    ...generateRegistryCode(registry),
    ...generateRegistryReference(registry, upstream.version),
    ...generateConfigurationReference(),
    ...(await generateCliReference()),
  ]);
  if (!(await bringUpToDate(code, ["src/gen"], check))) return 1;
  const { generateDashboards, dashboardsFolder } = await import("./dashboards/generate.ts");
  return (await bringUpToDate(generateDashboards(), [dashboardsFolder], check)) ? 0 : 1;
}

/** @returns false when something is out of date and may not be written */
async function bringUpToDate(files: GeneratedFiles, ownedFolders: readonly string[], check: boolean): Promise<boolean> {
  const differences = await compareOutput(root, files, ownedFolders);
  for (const { path, kind } of differences) process.stdout.write(`${kind} ${path}\n`);
  if (check) {
    if (differences.length > 0)
      process.stderr.write("Generated files are out of date: run `npm run generate` and commit the result.\n");
    return differences.length === 0;
  }
  await applyOutput(root, files, differences);
  process.stdout.write(`${files.size} generated files, ${differences.length} updated\n`);
  return true;
}

process.exitCode = await main(process.argv.slice(2));
