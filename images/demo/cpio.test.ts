import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { findCacheDir } from "../../scripts/setup/cache-dir.mjs";
import { createCpioArchive, type CpioEntry } from "./cpio.ts";

const ENTRIES: CpioEntry[] = [
  { kind: "file", path: "init", content: Buffer.from("#!/bin/sh\n"), executable: true },
  { kind: "file", path: "etc/deep/name", content: Buffer.from("x"), executable: false },
  { kind: "link", path: "bin/sh", target: "busybox" },
  { kind: "device", path: "dev/console", major: 5, minor: 1 },
];

test("another cpio lists every entry with its mode, folders before what they hold", () => {
  const listing = runCpio(createCpioArchive(ENTRIES), ["-tv"]);
  const shown = listing
    .trim()
    .split("\n")
    .map((line) => {
      const columns = line.trim().split(/\s+/);
      return `${columns[0]} ${line.slice(line.indexOf("00:00:00 ") + 9)}`;
    });
  assert.deepEqual(shown, [
    "drwxr-xr-x bin",
    "lrwxrwxrwx bin/sh -> busybox",
    "drwxr-xr-x dev",
    "crw------- dev/console",
    "drwxr-xr-x etc",
    "drwxr-xr-x etc/deep",
    "-rw-r--r-- etc/deep/name",
    "-rwxr-xr-x init",
  ]);
});

test("another cpio reads the contents back", () => {
  assert.equal(runCpio(createCpioArchive(ENTRIES), ["-i", "--to-stdout", "init"]), "#!/bin/sh\n");
});

test("the order of the entries does not change the archive", () => {
  assert.deepEqual(createCpioArchive(ENTRIES.toReversed()), createCpioArchive(ENTRIES));
});

test("two entries of one path are refused", () => {
  assert.throws(() => createCpioArchive([...ENTRIES, ...ENTRIES]), /two entries for init/);
});

function runCpio(archive: Buffer, args: string[]): string {
  const busybox = join(findCacheDir(process.env), "root", "bin", "busybox");
  const result = spawnSync(busybox, ["cpio", ...args], { input: archive, env: { TZ: "UTC" } });
  assert.equal(result.status, 0, String(result.stderr));
  return String(result.stdout);
}
