import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { defaultDataDirectory, resolveRunDirectory, runDirectoryCandidates } from "./paths.ts";

test("root keeps data in /var/lib/blixard, others beside where they are", () => {
  assert.equal(defaultDataDirectory({ isRoot: true, workingDirectory: "/w" }), "/var/lib/blixard");
  assert.equal(defaultDataDirectory({ isRoot: false, workingDirectory: "/w" }), "/w/.blixard");
});

test("the run directory follows from the data directory and the user alone", () => {
  assert.equal(resolveRunDirectory("/var/lib/blixard", {}, 0), "/run/blixard/96f36b51");
  assert.equal(
    resolveRunDirectory("/var/lib/blixard", { XDG_RUNTIME_DIR: "/run/user/7" }, 7),
    "/run/user/7/blixard/96f36b51",
  );
  assert.equal(resolveRunDirectory("/var/lib/blixard", { XDG_RUNTIME_DIR: "relative" }, 7), "/tmp/blixard-7/96f36b51");
  assert.equal(resolveRunDirectory("/var/lib/blixard/", {}, 0), "/run/blixard/96f36b51");
  assert.equal(resolveRunDirectory("/x", { BLIXARD_NODE__RUN_DIR: "/somewhere" }, 0), "/somewhere");
});

test("a user finds root's node too", () => {
  assert.deepEqual(runDirectoryCandidates("/var/lib/blixard", {}, 7), [
    "/tmp/blixard-7/96f36b51",
    "/run/blixard/96f36b51",
  ]);
  assert.deepEqual(runDirectoryCandidates("/var/lib/blixard", {}, 0), ["/run/blixard/96f36b51"]);
});

test("a data directory has one run directory: through links, and before and after it exists", async () => {
  const directory = await mkdtemp(join(tmpdir(), "blixard-paths-"));
  try {
    await mkdir(join(directory, "real"));
    await symlink("real", join(directory, "link"));
    const before = resolveRunDirectory(join(directory, "link/data"), {}, 0);
    await mkdir(join(directory, "real/data"));
    assert.equal(resolveRunDirectory(join(directory, "link/data"), {}, 0), before);
    assert.equal(resolveRunDirectory(join(directory, "real/data"), {}, 0), before);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a socket in any default run directory has a path that the kernel takes", () => {
  for (const directory of [
    resolveRunDirectory("/x".repeat(200), {}, 0),
    resolveRunDirectory("/x", { XDG_RUNTIME_DIR: "/run/user/4294967294" }, 4294967294),
  ]) {
    assert.ok(directory.length < 60, directory);
  }
});
