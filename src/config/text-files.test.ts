import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BlixardError } from "#model/errors.ts";
import { loadConfig, type LoadedConfig } from "./config.ts";
import { ConfigError } from "./problem.ts";
import { renderConfig } from "./show.ts";

const host = { hostName: "host-1", isRoot: false, workingDirectory: "/home/ann" };

test("a file that is missing, a directory, binary or huge is a typed error", async () => {
  const directory = await mkdtemp(join(tmpdir(), "blixard-config-"));
  try {
    await writeFile(join(directory, "binary"), Buffer.from([0x5b, 0xff, 0xfe, 0x00]));
    await writeFile(join(directory, "huge"), Buffer.alloc(1024 * 1024 + 1, "#"));
    for (const file of ["missing", "binary", "huge", "."]) {
      const isUnreadable = (error: unknown): boolean =>
        error instanceof BlixardError && error.code === "CONFIG_UNREADABLE";
      await assert.rejects(loadConfig(join(directory, file), { environment: {}, host }), isUnreadable, file);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a string may come from a file: bounded, without its last newline, and hidden where it is a secret", async () => {
  const directory = await mkdtemp(join(tmpdir(), "blixard-config-"));
  try {
    const file = join(directory, "node.toml");
    await writeFile(join(directory, "token"), "swordfish\n");
    await writeFile(join(directory, "huge"), "x".repeat(64 * 1024 + 1));
    execFileSync("mkfifo", [join(directory, "fifo")]);
    const loadText = async (value: string): Promise<LoadedConfig> => {
      await writeFile(
        file,
        `[observability.tracing]\notlp_endpoint = "http://c:4317"\nheaders = { authorization = ${value} }`,
      );
      return loadConfig(file, { environment: {}, host });
    };
    const { config, entries } = await loadText('"Bearer ${file:token}"');
    assert.equal(config.observability.tracing.headers?.["authorization"]?.reveal(), "Bearer swordfish");
    assert.doesNotMatch(renderConfig(entries), /swordfish/);
    const escaped = await loadText('"$${file:token}"');
    assert.equal(escaped.config.observability.tracing.headers?.["authorization"]?.reveal(), "${file:token}");
    for (const [name, reason] of [
      ["missing", /cannot be read: it is not there/],
      ["huge", /larger than 64 KiB/],
      ["fifo", /no regular file/],
      [".", /no regular file/],
    ] as const) {
      await assert.rejects(
        loadText(`"\${file:${name}}"`),
        (error) => error instanceof ConfigError && reason.test(error.message),
      );
    }
    await writeFile(join(directory, "token"), "two\nlines\n");
    await assert.rejects(loadText('"${file:token}"'), /of printable ASCII/);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a configuration may come through a pipe, and waiting for one ends at the first signal", async () => {
  const directory = await mkdtemp(join(tmpdir(), "blixard-config-"));
  try {
    const fifo = join(directory, "fifo");
    execFileSync("mkfifo", [fifo]);
    const loading = loadConfig(fifo, { environment: {}, host });
    await writeFile(fifo, '[node]\nid = "piped"\n');
    assert.equal((await loading).config.node.id, "piped");
    assert.equal((await loadConfig("/dev/null", { environment: {}, host })).config.node.id, "host-1");
    const stopping = new AbortController();
    const waiting = loadConfig(fifo, { environment: {}, host, signal: stopping.signal });
    setImmediate(() => stopping.abort());
    await assert.rejects(waiting, { name: "AbortError" });
  } finally {
    await rm(directory, { recursive: true });
  }
});
