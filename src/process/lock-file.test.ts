import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type ProcessIdentity, readBootId, readIdentity } from "./identity.ts";
import { acquireLock } from "./lock-file.ts";
import { type ChildHandle, spawnProcess } from "./spawn.ts";

describe("the lock of a data directory", () => {
  let root: string;
  let lockDir: string;
  let own: ProcessIdentity;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "blixard-lock-"));
    lockDir = join(root, "lock");
    const identity = readIdentity(process.pid);
    assert.ok(identity);
    own = identity;
  });
  afterEach(() => rm(root, { recursive: true }));

  const acquire = (identity = own): ReturnType<typeof acquireLock> =>
    acquireLock({ lockDir, identity, description: "node one" });

  it("is refused while another process lives, and names it", async () => {
    const holder = await spawnProcess({ command: "/bin/sleep", args: ["600"] });
    await acquire(holder.identity);
    await assert.rejects(acquire(), {
      code: "DATA_DIRECTORY_LOCKED",
      message: new RegExp(`node one \\(pid ${holder.pid}\\)`),
    });
    holder.kill("SIGKILL");
    await holder.exited;
    await acquire();
  });

  it("is refused to the process that has it, and free again after its release", async () => {
    const lock = await acquire();
    await assert.rejects(acquire(), { code: "DATA_DIRECTORY_LOCKED" });
    await lock.release();
    await lock.release();
    await acquire();
  });

  it("is taken over from an earlier boot and from a number that was reused", async () => {
    await mkdir(lockDir);
    await writeFile(join(lockDir, `${own.pid}.${own.startTicks - 1}.${own.bootId}`), "");
    const earlierBoot = readBootId().replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
    await writeFile(join(lockDir, `${own.pid}.${own.startTicks}.${earlierBoot}`), "");
    await acquire();
    assert.equal((await readdir(lockDir)).length, 1);
  });

  it("is held by one at most when many come at once over a dead one's claim", async () => {
    await mkdir(lockDir);
    await writeFile(join(lockDir, `${own.pid}.1.${own.bootId}`), "");
    const script = `
      import { acquireLock } from ${JSON.stringify(import.meta.resolve("./lock-file.ts"))};
      import { readIdentity } from ${JSON.stringify(import.meta.resolve("./identity.ts"))};
      process.stdin.once("data", async () => {
        const options = { lockDir: ${JSON.stringify(lockDir)}, identity: readIdentity(process.pid), description: "racer" };
        const held = await acquireLock(options).then(() => true, (error) => { if (error.code !== "DATA_DIRECTORY_LOCKED") throw error; return false; });
        console.log(held ? "held" : "refused");
      });
      console.log("up");`;
    const racers: ChildHandle[] = [];
    for (let index = 0; index < 4; index++) {
      const racer = await spawnProcess({
        command: process.execPath,
        args: ["--input-type=module", "-e", script],
        stdin: "pipe",
        stdout: "pipe",
      });
      racers.push(racer);
    }
    const say = async (racer: ChildHandle): Promise<string> => {
      const [line] = (await once(racer.stdout ?? new PassThrough(), "data")) as [Buffer];
      return line.toString().trim();
    };
    assert.deepEqual(await Promise.all(racers.map(say)), ["up", "up", "up", "up"]);
    const answers = Promise.all(racers.map(say));
    for (const racer of racers) racer.stdin?.write("go");
    const held = (await answers).filter((answer) => answer === "held").length;
    for (const racer of racers) racer.kill("SIGKILL");
    await Promise.all(racers.map((racer) => racer.exited));
    assert.equal(held <= 1, true, `${held} hold it`);
    await acquire();
  });
});
