/** Which QEMU this is, and whether it is new enough. */
import { BlixardError } from "#model/errors.ts";
import { runCommandOrThrow } from "#process/run.ts";

// The first with `-netdev stream`, and what Debian 12 has.
const MINIMUM = [7, 2] as const;
const TIMEOUT_MS = 10_000;

/** @throws BlixardError TOOL_TOO_OLD, INTERNAL when it does not say */
export async function readQemuVersion(qemuPath: string): Promise<string> {
  const text = await runCommandOrThrow({ command: qemuPath, args: ["--version"], timeoutMs: TIMEOUT_MS });
  return parseQemuVersion(text);
}

/** From "QEMU emulator version 7.2.22 (Debian …)". */
export function parseQemuVersion(text: string): string {
  const match = /version (\d+)\.(\d+)(\.\d+)?/.exec(text);
  if (match === null) throw new BlixardError("INTERNAL", `QEMU's version is not known: ${text.slice(0, 100)}`);
  const [, major = "0", minor = "0", patch = ""] = match;
  const version = `${major}.${minor}${patch}`;
  const [wantedMajor, wantedMinor] = MINIMUM;
  const isOld = Number(major) < wantedMajor || (Number(major) === wantedMajor && Number(minor) < wantedMinor);
  if (!isOld) return version;
  throw new BlixardError("TOOL_TOO_OLD", `QEMU ${version} is older than ${MINIMUM.join(".")}`, {
    hint: "install a newer qemu-system-x86, e.g. that of Debian 12",
  });
}
