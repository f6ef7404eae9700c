import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { BuildInputs } from "./build-plan.ts";
import type { Program } from "./programs.ts";

const repositoryDir = join(import.meta.dirname, "../..");

/** Where the checksums of what a program is built of are kept; those of a module with a go.sum are in that. */
export function checksumsFile(program: Program): string {
  return join(import.meta.dirname, "checksums", `${program.name}.sum`);
}

export async function readBuildInputs(program: Program): Promise<BuildInputs> {
  const manifest = await readFile(join(repositoryDir, "deploy/otel-collector/builder.yaml"), "utf8");
  const file = checksumsFile(program);
  return existsSync(file) ? { manifest, checksums: await readFile(file, "utf8") } : { manifest };
}
