import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import * as events from "#gen/telemetry/events.ts";
import * as metrics from "#gen/telemetry/metrics.ts";
import * as spans from "#gen/telemetry/spans.ts";
import { generateRegistryCode } from "../scripts/generate/registry-code.ts";
import { generateRegistryReference } from "../scripts/generate/registry-reference.ts";
import { readRegistry } from "../scripts/generate/registry.ts";
import { readUpstreamTable } from "../scripts/generate/upstream.ts";

const root = join(import.meta.dirname, "..");
const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts") && !name.startsWith("gen/"))
  .map((name) => readFileSync(join(root, "src", name), "utf8"))
  .join("\n");

describe("the registry, the code and the reference", () => {
  test("descriptors and reference are those of the registry: run `npm run generate` and commit", async () => {
    const registry = await readRegistry(join(root, "telemetry/registry"));
    const { version } = await readUpstreamTable(join(root, "telemetry/upstream.json"));
    for (const [path, text] of [...generateRegistryCode(registry), ...generateRegistryReference(registry, version)]) {
      assert.ok(readFileSync(join(root, path), "utf8") === text, `${path} is out of date`);
    }
  });

  /** The CLI makes its spans without descriptors, to start fast; its own test compares the two. */
  const madeByTheCli = ["cliCommand", "rpcClient"];
  const kinds = { metrics, spans, events };
  for (const [kind, signals] of Object.entries(kinds)) {
    test(`every one of the ${kind} is emitted somewhere: what nobody emits is not declared`, () => {
      const unused = Object.keys(signals).filter((name) => !new RegExp(`\\b${name}\\b`).test(sources));
      assert.deepEqual(
        unused.filter((name) => !madeByTheCli.includes(name)),
        [],
      );
    });
  }
});
