import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { notifyServiceManager } from "./service-manager.ts";

describe("the service manager", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "blixard-notify-"));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  /** In the place of systemd's own, which the stack's tests run. */
  async function environmentWith(script: string): Promise<Record<string, string>> {
    const tool = join(root, "systemd-notify");
    await writeFile(tool, `#!/bin/sh\n${script}\n`);
    await chmod(tool, 0o755);
    return { PATH: [root, process.env["PATH"]].join(delimiter), NOTIFY_SOCKET: "/run/notify", SECRET: "of ours" };
  }

  it("is told by its own tool that a service is ready, as a child of the service itself", async () => {
    const environment = await environmentWith(
      `{ echo "$PPID $NOTIFY_SOCKET \${SECRET-none}"; printf '%s\\n' "$@"; } > ${root}/said`,
    );
    await notifyServiceManager("ready", { environment, status: "serves: a b" });
    assert.deepEqual((await readFile(join(root, "said"), "utf8")).split("\n").slice(0, -1), [
      `${process.pid} /run/notify none`,
      "--no-block",
      "READY=1",
      "STATUS=serves: a b",
    ]);
  });

  it("is left alone where there is none", async () => {
    const environment = await environmentWith(`touch ${root}/said`);
    for (const socket of [undefined, ""]) {
      await notifyServiceManager("stopping", { environment: { ...environment, NOTIFY_SOCKET: socket } });
    }
    await assert.rejects(readFile(join(root, "said")), { code: "ENOENT" });
  });

  it("is said to be unreachable when it cannot be told", async () => {
    const environment = await environmentWith("echo no such socket >&2; exit 1");
    await assert.rejects(notifyServiceManager("stopping", { environment }), {
      code: "INTERNAL",
      message: "the service manager cannot be told STOPPING=1: no such socket",
      hint: "a unit whose service is not root's needs NotifyAccess=all",
    });
    await assert.rejects(notifyServiceManager("ready", { environment: { ...environment, PATH: "" } }), {
      code: "TOOL_MISSING",
      hint: "install the Debian package systemd (looked for on PATH)",
    });
  });
});
