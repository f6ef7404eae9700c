/**
 * Runs a test file again where the names of others are this machine's: in a network of its own that has nothing but
 * loopback, with an /etc/hosts of its own. What it configures can then be what a document says, to the letter, and
 * nothing leaves the machine.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MARK = "BLIXARD_TEST_PRIVATE_NETWORK";

/** Whether this process is such a run. */
export const isInPrivateNetwork = process.env[MARK] === "1";

/** @param hosts names that are 127.0.0.1 in there. Needs root. */
export async function runInPrivateNetwork(testFile: string, hosts: readonly string[]): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-network-"));
  try {
    const file = join(directory, "hosts");
    await writeFile(file, `127.0.0.1 localhost ${hosts.join(" ")}\n`);
    const script = 'ip link set lo up && mount --bind "$0" /etc/hosts && exec "$@"';
    const command = [process.execPath, "--test", "--test-isolation=none", "--test-reporter=spec", testFile];
    const arranged = ["unshare", "--net", "--mount", "sh", "-c", script, file, ...command];
    // One process all the way: it ends with this one, whatever ends this one.
    const child = spawn("setpriv", ["--pdeathsig", "TERM", ...arranged], {
      env: { ...process.env, [MARK]: "1", NODE_TEST_CONTEXT: undefined },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    await once(child, "close");
    assert.equal(child.exitCode, 0, output);
    assert.match(output, /^ℹ pass [1-9]/m, output);
  } finally {
    await rm(directory, { recursive: true });
  }
}
