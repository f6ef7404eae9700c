// The bundle that is shipped: what it loads, and that the npm package made of it works by itself.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { buildBundle, type BundleFile } from "../../scripts/build.ts";

const repositoryDir = join(import.meta.dirname, "..", "..");
const workDir = realpathSync(mkdtempSync(join(tmpdir(), "blixard-bundle-")));
const packageDir = join(workDir, "package");
const distDir = join(packageDir, "dist");

let files: BundleFile[];

before(async () => {
  files = await buildBundle(distDir);
});
after(() => rmSync(workDir, { recursive: true, force: true }));

describe("the bundle", () => {
  test("starts without the daemon, OpenTelemetry or etcd's client", () => {
    const loaded = sourcesLoadedBy("main.js");
    assert.notDeepEqual(containing(loaded, "src/cli/"), []);
    for (const heavy of ["src/daemon/", "src/telemetry/", "src/store/", "@opentelemetry/", "@grpc/grpc-js/"]) {
      assert.deepEqual(containing(loaded, heavy), []);
    }
  });

  test("contains the daemon all the same, for the command that runs it", () => {
    const everything = files.flatMap((file) => file.sources);
    assert.notDeepEqual(containing(everything, "src/daemon/"), []);
  });

  test("has the guardian as a program that loads nothing of the daemon, and no package", () => {
    const loaded = sourcesLoadedBy("guardian.js");
    assert.notDeepEqual(containing(loaded, "src/guardian/"), []);
    for (const heavy of ["node_modules/", "src/daemon/", "src/api/"]) {
      assert.deepEqual(containing(loaded, heavy), []);
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

/** The sources in an entry and in every file it loads at once. */
function sourcesLoadedBy(entry: string): string[] {
  const loaded = new Set([entry]);
  for (const name of loaded) {
    for (const imported of files.find((file) => file.name === name)?.imports ?? []) loaded.add(imported);
  }
  return files.filter((file) => loaded.has(file.name)).flatMap((file) => file.sources);
}

function containing(sources: string[], part: string): string[] {
  return sources.filter((source) => source.includes(part));
}
