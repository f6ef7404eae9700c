import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";
import { collectModules, formatModulesDep, parseDependencies } from "./kernel-modules.ts";

/** An ELF file whose .modinfo holds `depends=virtio-ring,virtio`, compressed by xz. */
const TINY_MODULE_XZ =
  "/Td6WFoAAAFpIt42AgAhARYAAAB0L+Wj4AFEAGRdAD+RRYRoM0keLtdJSUhdPSLbMRZQ9aUoSIuk7Pwwp8xh8Osrsw3AX4CtUFnT" +
  "LtILK9B6chv44MoIWjFaZpLCJ9pRSCEYCmBI9Bp7dceEGQ4fNTzK+lxUD5lrUd9mRkbL6qLtn2AAApAKlwABfMUCAAAAR7ZJND4w" +
  "DYsCAAAAAAFZWg==";

const cacheDir = findCacheDir(process.env);
const busybox = join(cacheDir, "root", "bin", "busybox");
const modulesDir = join(cacheDir, "kernel", "modules");

test("a module brings everything it needs", () => {
  const names = collectModules(modulesDir, ["virtio_net"], busybox).map((module) => module.name);
  for (const needed of ["virtio_net", "net_failover", "failover", "virtio", "virtio_ring"]) {
    assert.ok(names.includes(needed), `${needed} in ${names.join()}`);
  }
});

test("modules.dep names the module to load first last", () => {
  const module = (name: string, ...dependencies: string[]) => ({ name, dependencies, content: Buffer.alloc(0) });
  const text = formatModulesDep([module("net", "virtio", "failover"), module("virtio", "ring"), module("ring")]);
  assert.equal(text, "net.ko: failover.ko virtio.ko ring.ko\nvirtio.ko: ring.ko\nring.ko:\n");
});

test("an unknown module is named in the error", () => {
  assert.throws(() => collectModules(modulesDir, ["no_such_module"], busybox), /no module no_such_module/);
});

test("what is not a kernel module is refused", () => {
  assert.throws(() => parseDependencies(Buffer.from("text")), /not an ELF file/);
});

test("modules of a kernel that compresses them are unpacked, and both spellings of a name are one", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "blixard-modules-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, "kernel", "drivers"), { recursive: true });
  writeFileSync(join(dir, "kernel", "drivers", "virtio-tiny.ko.xz"), Buffer.from(TINY_MODULE_XZ, "base64"));
  assert.throws(() => collectModules(dir, ["virtio_tiny"], busybox), /no module virtio/);
  for (const needed of ["virtio", "virtio-ring"]) {
    const [ring] = collectModules(modulesDir, ["virtio_ring"], busybox);
    writeFileSync(join(dir, "kernel", "drivers", `${needed}.ko`), ring?.content ?? "");
  }
  const modules = collectModules(dir, ["virtio_tiny"], busybox);
  assert.deepEqual(
    modules.map((module) => module.name),
    ["virtio", "virtio_ring", "virtio_tiny"],
  );
});
