/**
 * Pressure stall information of the host: /proc/pressure/{cpu,memory,io}.
 * Source: the kernel's Documentation/accounting/psi.rst. Kernels without it have no such files.
 */
import { readFile } from "node:fs/promises";

export interface PressureSample {
  readonly resource: "cpu" | "memory" | "io";
  readonly kind: "some" | "full";
  readonly window: "10s" | "60s" | "300s";
  /** Share of time, 0 to 1. */
  readonly share: number;
}

const RESOURCES = ["cpu", "memory", "io"] as const;

export async function readPressure(procDirectory = "/proc"): Promise<readonly PressureSample[]> {
  const samples = await Promise.all(
    RESOURCES.map(async (resource) => {
      try {
        return parsePressure(resource, await readFile(`${procDirectory}/pressure/${resource}`, "utf8"));
      } catch {
        return [];
      }
    }),
  );
  return samples.flat();
}

/** Lines such as `some avg10=0.00 avg60=1.25 avg300=0.10 total=123`; others are passed over. */
export function parsePressure(resource: PressureSample["resource"], text: string): readonly PressureSample[] {
  return text.split("\n").flatMap((line) => {
    const match = /^(some|full) avg10=([\d.]+) avg60=([\d.]+) avg300=([\d.]+) /.exec(line);
    if (match === null) return [];
    const kind = match[1] === "full" ? "full" : "some";
    const sample = (window: PressureSample["window"], percent: string | undefined): PressureSample => ({
      resource,
      kind,
      window,
      share: Number(percent) / 100,
    });
    return [sample("10s", match[2]), sample("60s", match[3]), sample("300s", match[4])];
  });
}
