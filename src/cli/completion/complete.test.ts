import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeNode } from "#test/support/fake-node.ts";
import { FakeCliIo } from "#test/support/fake-cli-io.ts";
import { runCli } from "../run-cli.ts";
import { completeWords } from "./complete.ts";

const names = { vm: ["web", "worker", "db"], image: ["demo"], node: ["node-1"] } as const;
const complete = (...words: string[]): Promise<readonly string[]> => completeWords(words, async (kind) => names[kind]);

test("nouns, verbs and options are completed", async () => {
  assert.deepEqual(await complete("v"), ["vm"]);
  assert.ok((await complete("")).includes("completion"));
  assert.deepEqual(await complete("vm", "re"), ["restart", "resume"]);
  assert.deepEqual(await complete("vm", "create", "--mem"), ["--memory"]);
  assert.ok((await complete("vm", "create", "--")).includes("--on-node-loss"));
  assert.deepEqual(await complete("completion", ""), ["bash", "zsh", "fish"]);
});

test("values are completed: words, names that the node knows, files", async () => {
  assert.deepEqual(await complete("vm", "create", "web", "--restart", ""), ["never", "on-failure", "always"]);
  assert.deepEqual(await complete("vm", "create", "web", "--restart=on"), ["--restart=on-failure"]);
  assert.deepEqual(await complete("vm", "get", "w"), ["web", "worker"]);
  assert.deepEqual(await complete("vm", "get", "--data-dir", "/x", "w"), ["web", "worker"]);
  assert.deepEqual(await complete("vm", "create", "web", "--image", ""), ["demo"]);
  assert.deepEqual(await complete("node", "cordon", ""), ["node-1"]);
  assert.deepEqual(await complete("config", "check", ""), [":files"]);
  assert.deepEqual(await complete("vm", "list", "--data-dir", ""), [":directories"]);
});

test("what nothing can follow is completed by nothing", async () => {
  for (const words of [
    ["vm", "get", "web", ""],
    ["nonsense", ""],
    ["vm", "nonsense", ""],
    ["__proto__", "x"],
    ["vm", "create", "--label", ""],
  ]) {
    assert.deepEqual(await complete(...words), [], words.join(" "));
  }
});

test("without a node names are completed by nothing, quietly", async () => {
  const io = new FakeCliIo({ environment: { BLIXARD_NODE__RUN_DIR: "/nonexistent" } });
  assert.equal(await runCli(["__complete", "vm", "get", ""], io), 0);
  assert.equal(io.output + io.errors, "");
});

test("the node that the line means is asked", async () => {
  await using node = await FakeNode.start({ vms: { listVms: () => ({ vms: [{ name: "web" }, { name: "db" }] }) } });
  const io = new FakeCliIo();
  await runCli(["__complete", "vm", "stop", "--endpoint", `unix:${node.socketPath}`, ""], io);
  assert.equal(io.output, "web\ndb\n");
});
