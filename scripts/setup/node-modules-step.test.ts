import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { findMissingPackages } from "./node-modules-step.mjs";

const LOCKED = {
  "": { version: "0.1.0" },
  "node_modules/a": { version: "1.0.0", integrity: "sha512-a" },
  "node_modules/b": { version: "2.0.0", integrity: "sha512-b", optional: true, cpu: [process.arch], os: ["linux"] },
  "node_modules/c": { version: "3.0.0", integrity: "sha512-c", optional: true, cpu: ["wasm32"] },
  "node_modules/c-only": { version: "3.0.0", integrity: "sha512-d", optional: true },
};

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "blixard-modules-"));
  writeFileSync(join(dir, "package-lock.json"), JSON.stringify({ packages: LOCKED }));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function install(changes: Record<string, object | undefined> = {}): void {
  const { "node_modules/a": a, "node_modules/b": b } = LOCKED;
  const packages = { "node_modules/a": a, "node_modules/b": b, ...changes };
  for (const folder of Object.keys(packages)) {
    mkdirSync(join(dir, folder), { recursive: true });
    writeFileSync(join(dir, folder, "package.json"), "{}");
  }
  writeFileSync(join(dir, "node_modules", ".package-lock.json"), JSON.stringify({ packages }));
}

test("without node_modules everything for this machine is missing", () => {
  assert.deepEqual(findMissingPackages(dir), ["a", "b"]);
});

test("a finished install lacks nothing, although packages for other machines are absent", () => {
  install();
  assert.deepEqual(findMissingPackages(dir), []);
});

test("another version, other contents, or a folder that was removed is missing", () => {
  install({ "node_modules/a": { ...LOCKED["node_modules/a"], version: "0.9.0" } });
  assert.deepEqual(findMissingPackages(dir), ["a"]);
  install({ "node_modules/a": { ...LOCKED["node_modules/a"], integrity: "sha512-z" } });
  assert.deepEqual(findMissingPackages(dir), ["a"]);
  install();
  rmSync(join(dir, "node_modules", "b"), { recursive: true });
  assert.deepEqual(findMissingPackages(dir), ["b"]);
});

test("an install that was interrupted counts as none", () => {
  install();
  rmSync(join(dir, "node_modules", ".package-lock.json"));
  assert.deepEqual(findMissingPackages(dir), ["a", "b"]);
});
