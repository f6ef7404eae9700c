import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FakeCliIo } from "#test/support/fake-cli-io.ts";
import { runCli } from "../../run-cli.ts";

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-config-"));
  try {
    await use(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("config check of a pipe that nobody writes to ends at the first signal", () =>
  withDirectory(async (directory) => {
    const fifo = join(directory, "fifo");
    execFileSync("mkfifo", [fifo]);
    const io = new FakeCliIo({ environment: {} });
    const checking = runCli(["config", "check", fifo], io);
    setImmediate(() => io.interrupt());
    assert.equal(await checking, 130);
  }));

test("config check of a file full of mistakes prints a page, not megabytes", () =>
  withDirectory(async (directory) => {
    const file = join(directory, "node.toml");
    await writeFile(file, Array.from({ length: 50_000 }, (_, index) => `key${index} = 1`).join("\n"));
    const io = new FakeCliIo({ environment: {} });
    assert.equal(await runCli(["config", "check", file], io), 2);
    assert.match(io.errors, /has 50000 problems/);
    assert.match(io.errors, /… and 49950 more/);
    assert.ok(io.errors.length < 10_000, String(io.errors.length));
  }));

test("config show has the destinations of OTEL_CONFIG_FILE, with their places", () =>
  withDirectory(async (directory) => {
    const file = join(directory, "otel.yaml");
    await writeFile(
      file,
      `file_format: "1.1"
logger_provider:
  processors:
    - batch: { exporter: { otlp_grpc: { endpoint: "http://one:4317" } } }
    - batch: { exporter: { otlp_http: { endpoint: "http://two:4318/v1/logs" } } }
`,
    );
    const environment = { OTEL_CONFIG_FILE: file, OTEL_SERVICE_NAME: "unused" };
    const people = new FakeCliIo({ environment });
    assert.equal(await runCli(["config", "show"], people), 0, people.errors);
    assert.match(people.output, /^# logs to http:\/\/one:4317 \(grpc\) +# OTEL_CONFIG_FILE .*otel\.yaml:4:\d+$/m);
    assert.match(people.errors, /^warning: OTEL_CONFIG_FILE is set, .* refers to them: OTEL_SERVICE_NAME$/m);
    const programs = new FakeCliIo({ environment });
    assert.equal(await runCli(["config", "show", "-o", "json"], programs), 0, programs.errors);
    const shown = JSON.parse(programs.output) as Record<string, { readonly value: string }>;
    assert.equal(shown["destinations.1"]?.value, "logs to http://two:4318/v1/logs (http/protobuf)");
  }));
