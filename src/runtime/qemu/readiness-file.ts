/** That a guest was ready, for a later daemon: it must not wait for a boot that was over long ago. */
import { readFile, rename, writeFile } from "node:fs/promises";
import type { GuestBoot } from "../runtime.ts";

export interface Readiness {
  readonly instanceId: string;
  readonly source: "guest" | "hypervisor";
  readonly boot: GuestBoot | undefined;
  readonly timeMs: number;
}

export async function writeReadiness(path: string, readiness: Readiness): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify(readiness), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** undefined when this instance has not been ready. */
export async function readReadiness(path: string, instanceId: string): Promise<Readiness | undefined> {
  try {
    const readiness = JSON.parse(await readFile(path, "utf8")) as Readiness;
    return readiness.instanceId === instanceId ? readiness : undefined;
  } catch {
    return undefined;
  }
}
