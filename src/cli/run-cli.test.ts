import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import { ErrorDetailSchema } from "#gen/api/blixard/v1/common_pb.ts";
import { ListVmsResponseSchema, VmState } from "#gen/api/blixard/v1/vm_pb.ts";
import { FakeCliIo } from "#test/support/fake-cli-io.ts";
import { FakeNode } from "#test/support/fake-node.ts";
import { commandTable, plainCommands } from "./command-table.ts";
import { runCli } from "./run-cli.ts";

test("a mistyped word gets a suggestion, starts nothing and ends with 2", async () => {
  const cases = [
    [["vn", "list"], /there is no command "vn".*next: Did you mean `blixard vm`\?/s],
    [["vm", "lst"], /there is no verb of vm "lst".*Did you mean `blixard vm list`\?/s],
    [["node", "rum", "--config", "x"], /Did you mean `blixard node run`\?/],
    [["vm", "list", "--ouput", "json"], /unknown option '--ouput'.*Did you mean --output\?/s],
    [["completion", "bahs"], /"bahs" is none of bash, zsh, fish.*Did you mean bash\?/s],
    [["__proto__"], /there is no command/],
    [["vm", "constructor"], /there is no verb/],
  ] as const;
  for (const [argv, expected] of cases) {
    const io = new FakeCliIo();
    assert.equal(await runCli(argv, io), 2, argv.join(" "));
    assert.match(io.errors, expected);
    assert.equal(io.output, "");
  }
});

test("every command has a help page with examples, and every example parses", async () => {
  const commands = [
    ...Object.entries(commandTable).flatMap(([noun, { verbs }]) =>
      Object.entries(verbs).map(([verb, entry]) => ({ words: [noun, verb], entry })),
    ),
    ...Object.entries(plainCommands).map(([name, entry]) => ({ words: [name], entry })),
  ];
  for (const { words, entry } of commands) {
    const io = new FakeCliIo();
    assert.equal(await runCli([...words, "--help"], io), 0);
    assert.match(io.output, new RegExp(`^Usage: blixard ${words.join(" ")}`));
    assert.match(io.output, /\nExamples:\n {2}# /, words.join(" "));
    const { examples } = await entry.load();
    assert.ok(examples.length > 0);
    assert.ok(
      examples.some(({ command }) => command.includes(`blixard ${words.join(" ")}`)),
      words.join(" "),
    );
  }
});

test("help for all, for a noun and for a verb can be asked for in the usual ways", async () => {
  for (const argv of [[], ["--help"], ["-h"], ["help"], ["help", "vm"], ["vm", "--help"], ["help", "vm", "create"]]) {
    const io = new FakeCliIo();
    assert.equal(await runCli(argv, io), 0, argv.join(" "));
    assert.match(io.output, /^Usage: blixard/);
  }
  assert.equal(await runCli(["vm"], new FakeCliIo()), 2);
});

test("help fits the terminal", async () => {
  const io = new FakeCliIo({ columns: 100 });
  await runCli(["vm", "create", "--help"], io);
  const options = io.output.slice(0, io.output.indexOf("Examples:")).split("\n");
  for (const line of options) assert.ok(line.length <= 100, line);
});

test("--version says which", async () => {
  const io = new FakeCliIo();
  assert.equal(await runCli(["--version"], io), 0);
  assert.match(io.output, /^blixard \d+\.\d+\.\d+\n$/);
});

test("the exit code tells whose fault it is", async () => {
  const failWith = (code: Code, detail: { code: string; fault: string }): Promise<FakeNode> =>
    FakeNode.start({
      vms: {
        listVms: () => {
          throw new ConnectError("no", code, undefined, [{ desc: ErrorDetailSchema, value: detail }]);
        },
      },
    });
  const cases = [
    [Code.NotFound, { code: "VM_NOT_FOUND", fault: "user" }, 1],
    [Code.Internal, { code: "INTERNAL", fault: "system" }, 3],
    [Code.Unavailable, { code: "STORE_UNAVAILABLE", fault: "system" }, 3],
    [Code.FailedPrecondition, { code: "A_CODE_OF_A_NEWER_NODE", fault: "user" }, 1],
    [Code.Internal, { code: "A_CODE_OF_A_NEWER_NODE", fault: "system" }, 3],
  ] as const;
  for (const [code, detail, expected] of cases) {
    await using node = await failWith(code, detail);
    const io = new FakeCliIo({ environment: node.environment });
    assert.equal(await runCli(["vm", "list"], io), expected, detail.code);
    assert.match(io.errors, new RegExp(`\\(${detail.code}\\)`));
  }
});

test("an error shows its code, every cause once and what to do next; with -o json as one JSON object", async () => {
  const value = {
    code: "VM_NOT_FOUND",
    fault: "user",
    hint: "List them.",
    causes: ["the record is gone", "it was deleted"],
    field: "vm",
  };
  await using node = await FakeNode.start({
    vms: {
      getVm: () => {
        throw new ConnectError("there is no VM web", Code.NotFound, undefined, [{ desc: ErrorDetailSchema, value }]);
      },
    },
  });
  const people = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["vm", "get", "web"], people), 1);
  assert.equal(
    people.errors,
    "error: there is no VM web (VM_NOT_FOUND)\n  caused by: the record is gone\n  caused by: it was deleted\n  next: List them.\n",
  );
  for (const flag of [["-o", "json"], ["-ojson"], ["--output=json"]]) {
    const programs = new FakeCliIo({ environment: node.environment });
    assert.equal(await runCli(["vm", "get", "web", ...flag], programs), 1);
    assert.deepEqual(JSON.parse(programs.errors), {
      error: {
        code: "VM_NOT_FOUND",
        message: "there is no VM web",
        causes: ["the record is gone", "it was deleted"],
        hint: "List them.",
        field: "vm",
        fault: "user",
        exitCode: 1,
      },
    });
  }
  const usage = new FakeCliIo();
  assert.equal(await runCli(["vm", "lst", "-o", "json"], usage), 2);
  assert.equal(JSON.parse(usage.errors).error.code, "USAGE");
});

test("what a node says cannot steer the terminal", async () => {
  await using node = await FakeNode.start({
    vms: {
      listVms: () =>
        create(ListVmsResponseSchema, {
          vms: [{ name: "a\u001B[2Jb\nc", status: { state: VmState.FAILED, message: "\u001B]0;title\u0007x\u202E" } }],
        }),
      getVm: () => {
        throw new ConnectError("bad \u001B[31m\u009B news", Code.Internal);
      },
    },
  });
  const io = new FakeCliIo({ environment: { ...node.environment, NO_COLOR: "1" }, terminal: true, columns: 200 });
  assert.equal(await runCli(["vm", "list"], io), 0);
  assert.equal(await runCli(["vm", "get", "x"], io), 3);
  assert.doesNotMatch(io.output + io.errors, /[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202E]/);
  assert.match(io.output, /a \[2Jb c/);
});

test("a node that is not there is named, with what to do, and ends with 3", async () => {
  const nowhere = new FakeCliIo({
    environment: { BLIXARD_NODE__RUN_DIR: "/nonexistent", BLIXARD_DATA_DIR: "/nonexistent/data" },
  });
  assert.equal(await runCli(["vm", "list"], nowhere), 3);
  assert.match(
    nowhere.errors,
    /no node is running with the data directory \/nonexistent\/data \(NODE_UNREACHABLE\).*next: Start one with/s,
  );
  const gone = new FakeCliIo();
  assert.equal(await runCli(["vm", "list", "--endpoint", "unix:/nonexistent/api.sock"], gone), 3);
  assert.match(gone.errors, /the node does not answer \(NODE_UNREACHABLE\)/);
  const wrong = new FakeCliIo();
  assert.equal(await runCli(["vm", "list", "--endpoint", "ftp://x"], wrong), 2);
});

test("options for the node may stand before the command", async () => {
  await using node = await FakeNode.start({ vms: { listVms: () => ({}) } });
  for (const argv of [
    ["--endpoint", `unix:${node.socketPath}`, "vm", "list"],
    [`--endpoint=unix:${node.socketPath}`, "-o", "json", "vm", "list"],
    ["-ojson", "vm", "list", "--endpoint", `unix://${node.socketPath}`],
  ]) {
    assert.equal(await runCli(argv, new FakeCliIo()), 0, argv.join(" "));
  }
});

test("Ctrl-C during a call ends with 130 and says nothing", async () => {
  await using node = await FakeNode.start({
    vms: {
      async *watchVms(_request, { signal }) {
        yield { event: { case: "synced", value: {} } };
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      },
    },
  });
  const io: FakeCliIo = new FakeCliIo({ environment: node.environment, onOutput: () => io.interrupt() });
  assert.equal(await runCli(["vm", "watch"], io), 130);
  assert.equal(io.errors, "");
});

test("colours only on a terminal, and never against NO_COLOR", async () => {
  await using node = await FakeNode.start({
    vms: {
      listVms: () => create(ListVmsResponseSchema, { vms: [{ name: "web", status: { state: VmState.RUNNING } }] }),
    },
  });
  const outputs = await Promise.all(
    [
      { terminal: true },
      { terminal: false },
      { terminal: true, environment: { NO_COLOR: "1" } },
      { terminal: true, environment: { TERM: "dumb" } },
    ].map(async (options) => {
      const io = new FakeCliIo({ ...options, environment: { ...node.environment, ...options.environment } });
      await runCli(["vm", "list"], io);
      return io.output.includes("\u001B[");
    }),
  );
  assert.deepEqual(outputs, [true, false, false, false]);
});
