/** The units of deploy/systemd: systemd takes every line of them, and they agree with each other and with the CLI. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { hasCapability } from "#test/support/capability.ts";
import { runCli } from "#test/support/test-node.ts";

const repositoryDir = join(import.meta.dirname, "../..");
const unitsDir = join(repositoryDir, "deploy/systemd");
const units = { "blixard.service": "node", "blixard-guardian.service": "guardian" } as const;
/** Tenths: `systemd-analyze security` of systemd 252 says 4.1 and 4.2, and other versions weigh a little differently. */
const HIGHEST_EXPOSURE = 45;

describe("the systemd units", () => {
  test("have nothing that systemd does not understand", async (context) => {
    if (!hasSystemd(context)) return;
    const directory = await mkdtemp(join(tmpdir(), "blixard-units-"));
    try {
      await cp(unitsDir, directory, { recursive: true });
      for (const [unit, noun] of Object.entries(units)) {
        // As an operator with another place for the program does it.
        await mkdir(join(directory, `${unit}.d`));
        const command = `${join(repositoryDir, "bin/blixard")} ${noun} run --config /etc/blixard/blixard.toml`;
        await writeFile(join(directory, `${unit}.d/program.conf`), `[Service]\nExecStart=\nExecStart=${command}\n`);
        const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", join(directory, unit)], {
          encoding: "utf8",
        });
        // What it does not know it only mentions; units of this machine are none of ours.
        assert.deepEqual([status, stderr.split("\n").filter((line) => line.includes("blixard"))], [0, []]);
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  test("leave no more open than is written beside it", (context) => {
    if (!hasSystemd(context)) return;
    for (const unit of Object.keys(units)) {
      const limits = ["--offline=yes", `--threshold=${HIGHEST_EXPOSURE}`];
      const { status, stdout } = spawnSync("systemd-analyze", ["security", ...limits, join(unitsDir, unit)], {
        encoding: "utf8",
      });
      assert.equal(status, 0, stdout);
    }
  });

  test("run commands that there are, with the same configuration and the same directories", async () => {
    const [node, guardian] = await Promise.all(Object.keys(units).map(readUnit));
    assert.ok(node !== undefined && guardian !== undefined);
    const same = [
      "StateDirectory",
      "RuntimeDirectory",
      "RuntimeDirectoryPreserve",
      "CacheDirectory",
      "EnvironmentFile",
    ];
    for (const key of same) assert.deepEqual(node.get(key), guardian.get(key), key);
    assert.ok(node.get("Environment")?.includes("BLIXARD_RUNTIME__GUARDIAN=service"));
    for (const [unit, noun] of Object.entries(units)) {
      const [program, ...words] = (await readUnit(unit)).get("ExecStart")?.[0]?.split(" ") ?? [];
      assert.equal(program, "/usr/local/bin/blixard");
      assert.deepEqual(words, [noun, "run", "--config", "/etc/blixard/blixard.toml"]);
      const help = await runCli([noun, "run", "--help"]);
      assert.match(help.stdout, /--config/);
    }
  });
});

function hasSystemd(context: TestContext): boolean {
  return hasCapability(context, "systemd", spawnSync("systemd-analyze", ["--version"]).status === 0);
}

/** Every value of every key, whatever its section. */
async function readUnit(name: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const values = new Map<string, string[]>();
  for (const line of (await readFile(join(unitsDir, name), "utf8")).split("\n")) {
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) values.set(key, [...(values.get(key) ?? []), value]);
  }
  return values;
}
