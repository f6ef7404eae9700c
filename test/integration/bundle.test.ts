// The bundle that is shipped: what it loads, and that the npm package made of it works by itself.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { buildBundle } from "../../scripts/build.ts";

const repositoryDir = join(import.meta.dirname, "..", "..");
const workDir = realpathSync(mkdtempSync(join(tmpdir(), "blixard-bundle-")));
const packageDir = join(workDir, "package");
const distDir = join(packageDir, "dist");

before(() => buildBundle(distDir));
after(() => rmSync(workDir, { recursive: true, force: true }));

describe("the bundle", () => {
  test("starts without the daemon, OpenTelemetry or etcd's client", () => {
    const loaded = loadedAtStart(join(distDir, "main.js"));
    for (const heavy of ["src/daemon/", "src/telemetry/", "src/store/", "@opentelemetry/", "@grpc/grpc-js/"]) {
      assert.deepEqual(
        loaded.filter((source) => source.includes(heavy)),
        [],
      );
    }
    assert.ok(
      loaded.some((source) => source.includes("src/cli/")),
      "the regions of the sources are still marked",
    );
  });

  test("contains the daemon all the same, for the command that runs it", () => {
    const chunks = readdirSync(join(distDir, "chunks")).map((name) =>
      readFileSync(join(distDir, "chunks", name), "utf8"),
    );
    assert.ok(chunks.some((text) => text.includes("//#region src/daemon/")));
  });

  test("has the guardian as a program that loads nothing of the daemon", () => {
    const loaded = loadedAtStart(join(distDir, "guardian.js"));
    for (const heavy of ["node_modules/", "src/daemon/", "src/api/"]) {
      assert.deepEqual(
        loaded.filter((source) => source.includes(heavy)),
        [],
      );
    }
  });
});

test("the npm package runs by itself, with nothing but the pinned Node beside it", () => {
  const manifest = JSON.parse(readFileSync(join(repositoryDir, "package.json"), "utf8")) as {
    version: string;
    files: string[];
  };
  for (const name of ["package.json", ...manifest.files.filter((file) => file !== "dist")]) {
    if (existsSync(join(repositoryDir, name)))
      cpSync(join(repositoryDir, name), join(packageDir, name), { recursive: true });
  }
  const packed = spawnSync("npm", ["pack", "--ignore-scripts", "--silent"], { cwd: packageDir, encoding: "utf8" });
  assert.equal(packed.status, 0, packed.stderr);

  const modulesDir = join(workDir, "project", "node_modules");
  mkdirSync(join(modulesDir, "blixard"), { recursive: true });
  const archive = join(packageDir, packed.stdout.trim());
  const unpacked = spawnSync("tar", ["-xzf", archive, "--strip-components=1", "-C", join(modulesDir, "blixard")]);
  assert.equal(unpacked.status, 0, String(unpacked.stderr));
  const nodePackage = dirname(dirname(realpathSync(join(repositoryDir, "node_modules", ".bin", "node"))));
  symlinkSync(nodePackage, join(modulesDir, `node-linux-${process.arch}`));
  mkdirSync(join(modulesDir, ".bin"));
  symlinkSync("../blixard/bin/blixard", join(modulesDir, ".bin", "blixard"));

  const result = spawnSync(join(modulesDir, ".bin", "blixard"), ["--version"], { cwd: "/", encoding: "utf8" });
  assert.equal(result.status, 0, result.stderr);
  assert.ok(result.stdout.includes(manifest.version), result.stdout);
});

/** The sources in an entry and in every chunk it imports statically, as the bundler marks them. */
function loadedAtStart(entry: string): string[] {
  const pending = [entry];
  const seen = new Set<string>();
  const sources: string[] = [];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const text = readFileSync(file, "utf8");
    sources.push(...[...text.matchAll(/^\/\/#region (.+)$/gm)].map((match) => match[1] ?? ""));
    for (const [, specifier = ""] of text.matchAll(/^(?:import|export)\b[^;]*?["'](\.[^"']+)["'];$/gm)) {
      pending.push(join(dirname(file), specifier));
    }
  }
  return sources;
}
