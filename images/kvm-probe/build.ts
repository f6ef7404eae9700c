// Assembles probe.S into the constant that the node carries, so that a node needs no assembler.
//
//   node_modules/.bin/node images/kvm-probe/build.ts     needs GNU as and ld

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCacheDir, findTool } from "#process/find-tool.ts";
import { runCommandOrThrow } from "#process/run.ts";

const source = join(import.meta.dirname, "probe.S");
const target = join(import.meta.dirname, "../../src/runtime/qemu/kvm-probe-rom.ts");
const TIMEOUT_MS = 60_000;

/**
 * The machine code, as it lies at the start of the ROM.
 * @throws BlixardError TOOL_MISSING without `as` and `ld`, INTERNAL with their message when they refuse
 */
export async function assembleProbe(): Promise<Buffer> {
  const find = (name: string): string =>
    findTool(name, { path: process.env["PATH"] ?? "", cacheDir: findCacheDir(process.env) });
  const [as, ld] = [find("as"), find("ld")];
  const directory = await mkdtemp(join(tmpdir(), "blixard-kvm-probe-"));
  try {
    const [object, binary] = [join(directory, "probe.o"), join(directory, "probe.bin")];
    // Without the note that some distributions add, which would be part of the binary.
    const asArgs = ["--64", "-mx86-used-note=no", "-o", object, source];
    await runCommandOrThrow({ command: as, args: asArgs, timeoutMs: TIMEOUT_MS });
    const ldArgs = ["-m", "elf_x86_64", "--oformat", "binary", "-Ttext", "0x8000", "-e", "program", "-o", binary];
    await runCommandOrThrow({ command: ld, args: [...ldArgs, object], timeoutMs: TIMEOUT_MS });
    return await readFile(binary);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const code = await assembleProbe();
  await writeFile(
    target,
    [
      "// Generated from images/kvm-probe/probe.S by images/kvm-probe/build.ts. Do not edit.",
      "",
      "/** Machine code at the start of the probe's ROM, in base64. */",
      "export const kvmProbeCode =",
      `  "${code.toString("base64")}";`,
      "",
    ].join("\n"),
  );
}
