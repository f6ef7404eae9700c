// bin/blixard by itself, around a program that prints what it was started with.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";

const repositoryDir = join(import.meta.dirname, "..", "..");
const pinnedNode = realpathSync(join(repositoryDir, "node_modules", ".bin", "node"));
const nodePackage = dirname(dirname(pinnedNode));
const nodePackageName = `node-linux-${process.arch}`;
const report = (from: string): string =>
  `console.log(JSON.stringify({ from: "${from}", node: process.execPath, args: process.argv.slice(2), ` +
  `cwd: process.cwd(), compileCache: process.env["NODE_COMPILE_CACHE"] }));\n`;

let dir: string;
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), "blixard-launcher-")));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe("in a checkout", () => {
  test("the source runs while there is no bundle", () => {
    const home = createCheckout();
    assert.equal(launch(join(home, "bin", "blixard")).from, "source");
  });

  test("the bundle runs when it is newer than every source", () => {
    const home = createCheckout();
    writeBundle(home, 60);
    assert.equal(launch(join(home, "bin", "blixard")).from, "bundle");
  });

  test("one source newer than the bundle, however deep, is enough to run the source", () => {
    const home = createCheckout();
    writeBundle(home, 60);
    mkdirSync(join(home, "src", "room", "deep"), { recursive: true });
    writeFileSync(join(home, "src", "room", "deep", "changed.ts"), "");
    utimesSync(join(home, "src", "room", "deep", "changed.ts"), later(120), later(120));
    assert.equal(launch(join(home, "bin", "blixard")).from, "source");
  });

  test("a change of the locked packages outdates the bundle", () => {
    const home = createCheckout();
    writeBundle(home, 60);
    utimesSync(join(home, "package-lock.json"), later(120), later(120));
    assert.equal(launch(join(home, "bin", "blixard")).from, "source");
  });

  test("links to the launcher, absolute and relative, chained and from another folder, are followed", () => {
    const home = createCheckout();
    const elsewhere = join(dir, "some where");
    mkdirSync(elsewhere);
    symlinkSync(join(home, "bin", "blixard"), join(elsewhere, "absolute"));
    symlinkSync("absolute", join(elsewhere, "chained"));
    symlinkSync("../check out/bin/blixard", join(elsewhere, "relative"));
    for (const name of ["absolute", "chained", "relative"]) {
      const started = launch(join(elsewhere, name), { cwd: "/" });
      assert.deepEqual([started.from, started.cwd], ["source", "/"], name);
      assert.equal(launch(`./${name}`, { cwd: elsewhere }).from, "source", name);
    }
  });

  test("it is found on PATH", () => {
    const home = createCheckout();
    const result = spawnSync("blixard", ["x"], {
      encoding: "utf8",
      env: { ...process.env, PATH: `${join(home, "bin")}:${process.env["PATH"]}` },
    });
    assert.equal(JSON.parse(result.stdout).from, "source");
  });

  test("arguments arrive as they were given, and the pinned Node runs", () => {
    const home = createCheckout();
    const args = ["vm", "create", "a b", "", "--label", "x='$HOME'", "*"];
    const started = launch(join(home, "bin", "blixard"), { args });
    assert.deepEqual(started.args, args);
    assert.equal(started.node, pinnedNode);
  });

  test("the exit code and a signal are the program's own", () => {
    const home = createCheckout();
    writeFileSync(join(home, "src", "main.ts"), "process.exitCode = 4;\n");
    assert.equal(spawnSync(join(home, "bin", "blixard")).status, 4);
    writeFileSync(join(home, "src", "main.ts"), 'process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1000);\n');
    assert.equal(spawnSync(join(home, "bin", "blixard")).signal, "SIGTERM");
  });

  test("before set-up it says what to run", () => {
    const home = createCheckout();
    rmSync(join(home, "node_modules"), { recursive: true });
    const result = spawnSync(join(home, "bin", "blixard"), { encoding: "utf8" });
    assert.equal(result.status, 2);
    assert.match(result.stderr, /npm run setup/);
  });
});

describe("as an installed package", () => {
  test("the bundle runs, with the Node package beside the package", () => {
    const modules = join(dir, "project", "node_modules");
    const home = createPackage(join(modules, "blixard"));
    symlinkSync(nodePackage, join(modules, nodePackageName));
    mkdirSync(join(modules, ".bin"));
    symlinkSync("../blixard/bin/blixard", join(modules, ".bin", "blixard"));
    const started = launch(join(modules, ".bin", "blixard"), { cwd: "/" });
    assert.equal(started.from, "bundle");
    assert.equal(started.node, pinnedNode);
    assert.ok(home);
  });

  test("without the Node package it says what to do", () => {
    const home = createPackage(join(dir, "node_modules", "blixard"));
    const result = spawnSync(join(home, "bin", "blixard"), { encoding: "utf8" });
    assert.equal(result.status, 2);
    assert.match(result.stderr, /install the package again/);
  });
});

describe("the compile cache", () => {
  const places: [what: string, variables: string[], expected: string | undefined][] = [
    ["lies in the cache of the user", ["HOME"], "HOME/.cache/blixard/compile-cache"],
    ["follows XDG_CACHE_HOME", ["HOME", "XDG_CACHE_HOME"], "XDG_CACHE_HOME/blixard/compile-cache"],
    ["follows BLIXARD_CACHE_DIR", ["HOME", "XDG_CACHE_HOME", "BLIXARD_CACHE_DIR"], "BLIXARD_CACHE_DIR/compile-cache"],
    ["stays where the user put it", ["HOME", "NODE_COMPILE_CACHE"], "NODE_COMPILE_CACHE"],
    ["is not used by a user without a home", [], undefined],
  ];
  for (const [what, variables, expected] of places) {
    test(what, () => {
      const home = createCheckout();
      const env = Object.fromEntries(variables.map((name) => [name, join(dir, name)]));
      const started = launch(join(home, "bin", "blixard"), { env: { PATH: process.env["PATH"] ?? "", ...env } });
      assert.equal(started.compileCache, expected === undefined ? undefined : join(dir, expected));
    });
  }
});

interface Started {
  from: string;
  node: string;
  args: string[];
  cwd: string;
  compileCache?: string;
}

function launch(
  launcher: string,
  options: { args?: string[]; cwd?: string; env?: Record<string, string> } = {},
): Started {
  const env = options.env ?? { ...process.env, BLIXARD_CACHE_DIR: join(dir, "cache") };
  const result = spawnSync(launcher, options.args ?? [], { encoding: "utf8", cwd: options.cwd ?? dir, env });
  assert.equal(result.status, 0, result.stderr);
  assert.equal(result.stderr, "");
  return JSON.parse(result.stdout);
}

function createCheckout(): string {
  const home = join(dir, "check out");
  mkdirSync(join(home, "src"), { recursive: true });
  mkdirSync(join(home, "node_modules"));
  writeFileSync(join(home, "src", "main.ts"), report("source"));
  writeFileSync(join(home, "package.json"), '{ "type": "module" }');
  writeFileSync(join(home, "package-lock.json"), "{}");
  symlinkSync(nodePackage, join(home, "node_modules", nodePackageName));
  cpSync(join(repositoryDir, "bin"), join(home, "bin"), { recursive: true });
  return home;
}

function createPackage(home: string): string {
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "package.json"), '{ "type": "module" }');
  cpSync(join(repositoryDir, "bin"), join(home, "bin"), { recursive: true });
  writeBundle(home, 0);
  return home;
}

function writeBundle(home: string, secondsLater: number): void {
  mkdirSync(join(home, "dist"), { recursive: true });
  writeFileSync(join(home, "dist", "main.js"), report("bundle"));
  utimesSync(join(home, "dist", "main.js"), later(secondsLater), later(secondsLater));
}

function later(seconds: number): Date {
  return new Date(Date.now() + seconds * 1000);
}
