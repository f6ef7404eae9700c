import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { BlixardError } from "#model/errors.ts";
import { ensureDataDirectory, ensureNodeIdentity } from "./data-directory.ts";

let parent: string;
before(async () => {
  parent = await mkdtemp(join(tmpdir(), "blixard-data-"));
});
after(async () => {
  await rm(parent, { recursive: true, force: true });
});

const codeOf = (code: string) => (error: unknown) =>
  error instanceof BlixardError && error.code === code && error.hint !== undefined;

test("a missing data directory is made, and nobody else may list it", async () => {
  const directory = join(parent, "deep", "data");
  await ensureDataDirectory(directory);
  assert.equal((await stat(directory)).mode & 0o777, 0o711);
});

test("a path that is a file is refused with what to do", async () => {
  const file = join(parent, "file");
  await writeFile(file, "");
  await assert.rejects(ensureDataDirectory(file), codeOf("DATA_DIRECTORY_UNUSABLE"));
});

test("a node keeps its cluster for the life of its data directory", async () => {
  const directory = join(parent, "kept");
  await ensureDataDirectory(directory);
  const first = await ensureNodeIdentity(directory, "node-1");
  assert.deepEqual(await ensureNodeIdentity(directory, "node-1"), first);
});

test("a data directory of another node is refused by that node's name", async () => {
  const directory = join(parent, "other");
  await ensureDataDirectory(directory);
  await ensureNodeIdentity(directory, "node-1");
  await assert.rejects(ensureNodeIdentity(directory, "node-2"), (error: Error) =>
    /belongs to node "node-1"/.test(error.message),
  );
});

test("a damaged identity is reported and left as it was", async () => {
  const directory = join(parent, "damaged");
  await ensureDataDirectory(directory);
  for (const text of ["", "{", "[]", '{"schemaVersion":1,"nodeId":"n","clusterId":"x"}']) {
    await writeFile(join(directory, "node.json"), text);
    await assert.rejects(ensureNodeIdentity(directory, "node-1"), codeOf("DATA_DIRECTORY_CORRUPT"));
    assert.equal(await readFile(join(directory, "node.json"), "utf8"), text);
  }
});
