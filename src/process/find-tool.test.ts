import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { BlixardError } from "#model/errors.ts";
import { findCacheDir, findTool } from "./find-tool.ts";

describe("findTool", () => {
  let root: string;
  let pathDir: string;
  let cacheDir: string;

  async function install(folder: string, name: string, mode = 0o755): Promise<string> {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, name), "#!/bin/sh\n");
    await chmod(join(folder, name), mode);
    return join(folder, name);
  }

  before(async () => {
    root = await mkdtemp(join(tmpdir(), "blixard-tool-"));
    pathDir = join(root, "path");
    cacheDir = join(root, "cache");
  });
  after(() => rm(root, { recursive: true }));

  it("prefers the caller's PATH to the cache", async () => {
    await install(join(cacheDir, "root/usr/bin"), "etcd");
    const wanted = await install(pathDir, "etcd");
    assert.equal(findTool("etcd", { path: `/nowhere:${pathDir}`, cacheDir }), wanted);
  });

  for (const folder of ["root/usr/bin", "root/usr/sbin", "root/bin"]) {
    it(`finds a tool in the cache's ${folder}`, async () => {
      const name = `tool-${folder.replaceAll("/", "-")}`;
      const wanted = await install(join(cacheDir, folder), name);
      assert.equal(findTool(name, { path: pathDir, cacheDir }), wanted);
    });
  }

  it("takes a configured absolute path as it is", async () => {
    const own = await install(join(root, "own"), "my-etcd");
    assert.equal(findTool(own, { path: "", cacheDir }), own);
    assert.throws(() => findTool(join(root, "own/other"), { path: "", cacheDir }), {
      code: "TOOL_MISSING",
    });
  });

  it("passes over files that cannot be executed and folders", async () => {
    await install(pathDir, "qemu-img", 0o644);
    await mkdir(join(cacheDir, "root/usr/bin/qemu-img"), { recursive: true });
    assert.throws(() => findTool("qemu-img", { path: pathDir, cacheDir }), { code: "TOOL_MISSING" });
  });

  it("never runs a program from the working directory", () => {
    assert.throws(() => findTool("x", { path: "::.:bin", cacheDir }), { code: "TOOL_MISSING" });
  });

  it("says which Debian package has a missing tool", () => {
    assert.throws(
      () => findTool("qemu-system-x86_64", { path: "", cacheDir }),
      (error) => error instanceof BlixardError && /qemu-system-x86\b.*npm run setup/.test(error.hint ?? ""),
    );
  });
});

describe("findCacheDir", () => {
  it("follows BLIXARD_CACHE_DIR, then XDG_CACHE_HOME, then HOME", () => {
    const home = { HOME: "/home/ann" };
    assert.equal(findCacheDir(home), "/home/ann/.cache/blixard");
    assert.equal(findCacheDir({ ...home, XDG_CACHE_HOME: "/xdg" }), "/xdg/blixard");
    const all = { ...home, XDG_CACHE_HOME: "/xdg", BLIXARD_CACHE_DIR: "/own" };
    assert.equal(findCacheDir(all), "/own");
  });
});
