import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { finished } from "node:stream/promises";
import { test } from "node:test";
import { openMemberLog } from "./member-log.ts";

test("a log is kept whole up to its cap and its last lines are at hand", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "blixard-log-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "etcd.log");
  const log = openMemberLog({ path, maximumBytes: 10_000 });
  const stream = new PassThrough();
  log.follow(stream);
  const lines = Array.from({ length: 5000 }, (_, index) => `line ${index} ${"x".repeat(40)}`);
  for (const line of lines) stream.write(`${line}\n`);
  stream.end("the end, without a newline");
  await finished(stream.resume());
  log.close();

  assert.equal(log.lastLines().at(-1), "the end, without a newline");
  assert.equal(log.lastLines().at(-2), lines.at(-1));
  const sizes = await Promise.all([path, `${path}.1`].map(async (name) => (await stat(name)).size));
  assert.ok(
    sizes.every((size) => size <= 10_000),
    sizes.join(),
  );
  assert.match(await readFile(path, "utf8"), /the end, without a newline$/);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test("a log that cannot be written still tells its last lines", async () => {
  const log = openMemberLog({ path: "/nowhere/at/all/etcd.log" });
  const stream = new PassThrough();
  log.follow(stream);
  stream.end("no space left on device\n");
  await finished(stream.resume());
  assert.deepEqual(log.lastLines(), ["no space left on device"]);
  log.close();
});
