import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { findGo, isNewEnough, parseGoVersion } from "./find-go.ts";

describe("the version of Go", () => {
  it("is read from what `go version` prints, of releases, candidates and development versions", () => {
    assert.equal(parseGoVersion("go version go1.26.8 linux/amd64\n"), "1.26.8");
    assert.equal(parseGoVersion("go version go1.27 linux/arm64"), "1.27");
    assert.equal(parseGoVersion("go version go1.27rc1 linux/amd64"), "1.27");
    assert.equal(parseGoVersion("go version devel go1.27-3c8a5a1 Thu Nov 19 linux/amd64"), "1.27");
  });

  it("is unknown of anything else", () => {
    for (const text of ["", "bash: go: command not found", "version go1.26", "go version one"]) {
      assert.equal(parseGoVersion(text), undefined, text);
    }
  });

  it("is new enough from 1.26 on, compared as numbers", () => {
    assert.deepEqual(
      ["1.26", "1.26.0", "1.27.1", "1.100", "2.0"].map((version) => isNewEnough(version)),
      [true, true, true, true, true],
    );
    assert.deepEqual(
      ["1.25.9", "1.9", "0.30"].map((version) => isNewEnough(version)),
      [false, false, false],
    );
  });
});

describe("Go", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "blixard-go-"));
  });
  afterEach(() => rm(root, { recursive: true }));

  /** A folder with a `go` that says this. */
  async function folder(name: string, says: string): Promise<string> {
    const path = join(root, name);
    await mkdir(path);
    await writeFile(join(path, "go"), `#!/bin/sh\necho '${says}'\n`);
    await chmod(join(path, "go"), 0o755);
    return path;
  }

  it("is taken from the PATH, the first that is new enough", async () => {
    const old = await folder("old", "go version go1.22.1 linux/amd64");
    const good = await folder("good", "go version go1.26.8 linux/amd64");
    const better = await folder("better", "go version go1.27.0 linux/amd64");
    const path = [join(root, "nowhere"), old, good, better].join(delimiter);
    assert.deepEqual(await findGo({ path, wellKnownFolder: join(root, "none") }), {
      path: join(good, "go"),
      version: "1.26.8",
    });
  });

  it("is found where its archive unpacks to, if the PATH has none or only an old one", async () => {
    const old = await folder("old", "go version go1.22.1 linux/amd64");
    const wellKnownFolder = await folder("well-known", "go version go1.26.0 linux/amd64");
    for (const path of ["", old]) {
      assert.equal((await findGo({ path, wellKnownFolder })).path, join(wellKnownFolder, "go"));
    }
  });

  it("that is missing or too old is told with what was found and what to install", async () => {
    const none = { path: join(root, "nowhere"), wellKnownFolder: join(root, "none") };
    await assert.rejects(findGo(none), /Go 1\.26 or newer: none is on PATH.*https:\/\/go\.dev\/dl\//);
    const old = await folder("old", "go version go1.22.1 linux/amd64");
    const odd = await folder("odd", "hello");
    await assert.rejects(findGo({ ...none, path: [old, odd].join(delimiter) }), (error: Error) => {
      assert.match(error.message, new RegExp(`${old}/go is Go 1\\.22\\.1; ${odd}/go is no Go that tells its version`));
      return true;
    });
  });
});
