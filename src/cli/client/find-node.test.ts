import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { resolveRunDirectory } from "#config/paths.ts";
import { BlixardError } from "#model/errors.ts";
import { findNode } from "./find-node.ts";

const nothing = { endpoint: undefined, dataDir: undefined, tokenFile: undefined };

async function inDirectory(fn: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-find-"));
  try {
    await fn(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("an endpoint is a unix socket or an http address, from the option or the environment", async () => {
  const host = { environment: { BLIXARD_ENDPOINT: "http://127.0.0.1:7001" }, workingDirectory: "/" };
  assert.deepEqual(await findNode({ ...nothing, endpoint: "unix:/run/x.sock" }, host), {
    kind: "unix",
    path: "/run/x.sock",
  });
  assert.deepEqual(await findNode(nothing, host), { kind: "tcp", url: "http://127.0.0.1:7001", token: undefined });
  for (const endpoint of ["x", "https://h:1", "http://u:p@h:1", "http://h:1/path", "unix:"]) {
    await assert.rejects(
      findNode({ ...nothing, endpoint }, host),
      (error) => error instanceof BlixardError && error.code === "USAGE",
      endpoint,
    );
  }
});

test("a token for an http address comes from a file, and never shows", () =>
  inDirectory(async (directory) => {
    const tokenFile = join(directory, "token");
    await writeFile(tokenFile, "swordfish\n");
    const address = await findNode(
      { ...nothing, endpoint: "http://h:1", tokenFile },
      { environment: {}, workingDirectory: "/" },
    );
    assert.ok(address.kind === "tcp");
    assert.equal(address.token?.reveal(), "swordfish");
    assert.doesNotMatch(JSON.stringify(address), /swordfish/);
  }));

test("a node is found by its data directory, by the option before the environment, relative to where one is", () =>
  inDirectory(async (directory) => {
    const environment = { XDG_RUNTIME_DIR: join(directory, "xdg"), BLIXARD_DATA_DIR: join(directory, "other") };
    const host = { environment, workingDirectory: directory, userId: 7 };
    const run = resolveRunDirectory(join(directory, "data"), environment, 7);
    await mkdir(run, { recursive: true });
    await writeFile(
      join(run, "endpoints.json"),
      JSON.stringify({ nodeId: "n", api: { unix: "/run/api.sock", tcp: "127.0.0.1:1" } }),
    );
    assert.deepEqual(await findNode({ ...nothing, dataDir: "data" }, host), { kind: "unix", path: "/run/api.sock" });
    await assert.rejects(findNode(nothing, host), /no node is running with the data directory .*other/);
  }));

test("a file that does not say where is an error that names it", () =>
  inDirectory(async (directory) => {
    const environment = { BLIXARD_NODE__RUN_DIR: directory };
    for (const content of ["", "{", "[]", "{}", '{"api":null}', '{"api":{"unix":7}}']) {
      await writeFile(join(directory, "endpoints.json"), content);
      await assert.rejects(
        findNode({ ...nothing, dataDir: "/d" }, { environment, workingDirectory: "/", userId: 7 }),
        (error) =>
          error instanceof BlixardError && error.code === "NODE_UNREACHABLE" && error.message.includes(directory),
        content,
      );
    }
  }));
