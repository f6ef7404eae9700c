import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import {
  isAlive,
  parseIdentity,
  parseProcessStat,
  readBootId,
  readIdentity,
  readProcessStat,
  readUptimeSeconds,
} from "./identity.ts";
import { spawnProcess } from "./spawn.ts";

describe("the identity of a process", () => {
  it("is alive while the process runs and dead when it has ended", async () => {
    const child = await spawnProcess({ command: "/bin/sleep", args: ["600"] });
    assert.equal(isAlive(child.identity), true);
    child.kill("SIGKILL");
    await child.exited;
    assert.equal(isAlive(child.identity), false);
  });

  it("is not alive when the number belongs to another process or to another boot", () => {
    const own = readIdentity(process.pid);
    assert.ok(own);
    assert.equal(isAlive(own), true);
    assert.equal(isAlive({ ...own, startTicks: own.startTicks - 1 }), false);
    assert.equal(isAlive({ ...own, bootId: "00000000-0000-0000-0000-000000000000" }), false);
  });

  it("counts a zombie as dead", async (test) => {
    // The shell's child ends after the shell has become a program that never collects children.
    const parent = await spawnProcess({
      command: "/bin/sh",
      args: ["-c", "cat <&3 >/dev/null & echo $!; exec sleep 600"],
      stdout: "pipe",
      extra: ["pipe"],
    });
    test.after(() => parent.kill("SIGKILL"));
    const [line] = (await once(parent.stdout ?? new PassThrough(), "data")) as [Buffer];
    const zombiePid = Number(line.toString());
    await waitFor("the exec", async () => (await readFile(`/proc/${parent.pid}/comm`, "utf8")) === "sleep\n");
    parent.extra[0]?.end();
    await waitFor("the zombie", () => readProcessStat(zombiePid)?.state === "Z");
    const zombie = readIdentity(zombiePid);
    assert.ok(zombie);
    assert.equal(isAlive(zombie), false);
  });

  it("comes back from a state file and refuses anything else", () => {
    const own = readIdentity(process.pid);
    assert.deepEqual(parseIdentity(JSON.parse(JSON.stringify(own))), own);
    for (const value of [null, 7, {}, { pid: "1", startTicks: 2, bootId: "x" }, { pid: 1.5 }]) {
      assert.equal(parseIdentity(value), undefined);
    }
  });
});

describe("/proc", () => {
  it("is read rightly when a program's name has brackets and blanks", () => {
    const fields = Array.from({ length: 50 }, (_, index) => String(index + 3));
    fields[0] = "S";
    const stat = parseProcessStat(`42 (a) b (c)) ${fields.join(" ")}`);
    assert.deepEqual(stat, {
      state: "S",
      parentPid: 4,
      userTicks: 14,
      systemTicks: 15,
      startTicks: 22,
      residentPages: 24,
    });
    assert.equal(parseProcessStat("nonsense"), undefined);
  });

  it("gives a boot id and an uptime", () => {
    assert.match(readBootId(), /^[0-9a-f-]{36}$/);
    assert.ok(readUptimeSeconds() > 0);
  });
});
