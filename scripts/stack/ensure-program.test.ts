import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type EnsuredProgram, ensureProgram } from "./ensure-program.ts";

/** It says what it was asked for in `calls`, and makes a file of what it is to compile. */
const FAKE_GO = `#!/bin/sh
root=$(dirname "$(dirname "$0")")
echo "$1 $2" >> "$root/calls"
case "$1" in
  version) echo 'go version go1.26.8 linux/amd64' ;;
  mod) echo "{\\"Dir\\": \\"$root/module\\"}" ;;
  build)
    test -e "$root/broken" && { echo 'undefined: main' >&2; exit 1; }
    while test "$1" != -o; do shift; done
    cp go.mod "$2" ;;
esac
`;

describe("a program of the stack", () => {
  let root: string;
  let said: string[];

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "blixard-stack-"));
    said = [];
    await mkdir(join(root, "bin"));
    await writeFile(join(root, "bin/go"), FAKE_GO);
    await chmod(join(root, "bin/go"), 0o755);
    await mkdir(join(root, "module"));
    // As Go leaves it: nobody may write there.
    await writeFile(join(root, "module/go.mod"), "module tempo\n", { mode: 0o444 });
    await chmod(join(root, "module"), 0o555);
  });
  afterEach(async () => {
    await chmod(join(root, "module"), 0o755);
    await rm(root, { recursive: true });
  });

  const ensure = (path = join(root, "bin")): Promise<EnsuredProgram> =>
    ensureProgram("tempo", {
      environment: { BLIXARD_CACHE_DIR: join(root, "cache"), PATH: [path, "/usr/bin", "/bin"].join(delimiter) },
      say: (line) => said.push(line),
    });

  const countBuilds = async (): Promise<number> =>
    (await readFile(join(root, "calls"), "utf8")).split("\n").filter((call) => call.startsWith("build")).length;

  it("is built when it is wanted first, says what takes long, and is there from then on", async () => {
    const built = await ensure();
    assert.equal(await readFile(built.path, "utf8"), "module tempo\n");
    assert.match(built.path, /\/cache\/stack\/tempo-1\.5\.0-[0-9a-f]{12}\/tempo$/);
    assert.equal(built.version, "1.5.0");
    assert.match(
      said.join("\n"),
      /tempo 1\.5\.0: building it with Go 1\.26\.8\n.*downloading.*\n.*compiling.*\n.*built in/,
    );
    said = [];
    assert.deepEqual(await ensure(join(root, "nowhere")), built);
    assert.deepEqual(said, []);
    assert.equal(await countBuilds(), 1);
  });

  it("is built once for two who want it at the same time", async () => {
    const [one, other] = await Promise.all([ensure(), ensure()]);
    assert.deepEqual(one, other);
    assert.equal(await countBuilds(), 1);
  });

  it("that cannot be built leaves nothing but the reason, and is built when it can be", async () => {
    await writeFile(join(root, "broken"), "");
    await assert.rejects(ensure(), (error: Error) => {
      assert.match(error.message, /compiling .* failed/);
      assert.match(String(error.cause), /undefined: main/);
      return true;
    });
    const folder = join(root, "cache/stack");
    assert.deepEqual(
      (await readdir(folder)).filter((name) => !name.endsWith(".lock")),
      [],
    );
    await rm(join(root, "broken"));
    const { path } = await ensure();
    assert.deepEqual(await readdir(dirname(path)), ["tempo"]);
  });
});
