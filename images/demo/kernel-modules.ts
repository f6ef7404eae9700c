// Picks kernel modules out of an unpacked Debian kernel. Debian makes `modules.dep` at installation, which
// never happens here: the dependencies are read from the modules themselves.

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

const MODULE_FILE = /^(.+)\.ko(\.xz)?$/;
const SECTION_HEADERS_OFFSET = 0x28;
const SECTION_HEADER_BYTES = 0x3a;
const SECTION_COUNT = 0x3c;
const NAMES_SECTION = 0x3e;

/** A module, uncompressed, with the direct dependencies it names itself. */
export interface KernelModule {
  name: string;
  content: Buffer;
  dependencies: string[];
}

/**
 * Reads the named modules and all they need, sorted by name.
 * @param busybox decompresses modules of kernels that ship them compressed
 */
export function collectModules(modulesDir: string, names: readonly string[], busybox: string): KernelModule[] {
  const files = indexModules(modulesDir);
  const collected = new Map<string, KernelModule>();
  const pending = [...names];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (collected.has(name)) continue;
    const file = files.get(name);
    if (file === undefined) throw new Error(`the kernel in ${modulesDir} has no module ${name}`);
    const content = readModule(file, busybox);
    const dependencies = parseDependencies(content);
    collected.set(name, { name, content, dependencies });
    pending.push(...dependencies);
  }
  return [...collected.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The text of `modules.dep`: for each module all it needs, the first to be loaded last. */
export function formatModulesDep(modules: readonly KernelModule[]): string {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const lines = modules.map(({ name }) => {
    const order: string[] = [];
    const visit = (current: string): void => {
      for (const dependency of byName.get(current)?.dependencies ?? []) {
        if (order.includes(dependency)) continue;
        visit(dependency);
        order.push(dependency);
      }
    };
    visit(name);
    const needed = order.reverse().map((dependency) => ` ${dependency}.ko`);
    return `${name}.ko:${needed.join("")}\n`;
  });
  return lines.join("");
}

/** The `depends=` line of a module's .modinfo section (a 64-bit little-endian ELF file). */
export function parseDependencies(content: Buffer): string[] {
  const info = findSection(content, ".modinfo").toString("latin1").split("\0");
  const depends = info.find((line) => line.startsWith("depends="))?.slice("depends=".length) ?? "";
  return depends === "" ? [] : depends.split(",").map(normaliseName);
}

/** The kernel writes `virtio_rng` where the file is `virtio-rng.ko`. */
function normaliseName(name: string): string {
  return name.replaceAll("-", "_");
}

function indexModules(modulesDir: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const path of readdirSync(join(modulesDir, "kernel"), { recursive: true, encoding: "utf8" })) {
    const name = MODULE_FILE.exec(basename(path))?.[1];
    if (name !== undefined) files.set(normaliseName(name), join(modulesDir, "kernel", path));
  }
  return files;
}

function readModule(file: string, busybox: string): Buffer {
  const content = readFileSync(file);
  if (!file.endsWith(".xz")) return content;
  const result = spawnSync(busybox, ["xz", "-dc"], { input: content, maxBuffer: 64 * 1024 * 1024 });
  if (result.status !== 0) throw new Error(`could not decompress ${file}`);
  return result.stdout;
}

function findSection(elf: Buffer, wanted: string): Buffer {
  if (elf.toString("latin1", 0, 4) !== "\x7fELF") throw new Error("a kernel module is not an ELF file");
  const tableOffset = Number(elf.readBigUInt64LE(SECTION_HEADERS_OFFSET));
  const entryBytes = elf.readUInt16LE(SECTION_HEADER_BYTES);
  const section = (index: number): { nameOffset: number; data: Buffer } => {
    const at = tableOffset + index * entryBytes;
    const offset = Number(elf.readBigUInt64LE(at + 0x18));
    const size = Number(elf.readBigUInt64LE(at + 0x20));
    return { nameOffset: elf.readUInt32LE(at), data: elf.subarray(offset, offset + size) };
  };
  const names = section(elf.readUInt16LE(NAMES_SECTION)).data;
  for (let index = 0; index < elf.readUInt16LE(SECTION_COUNT); index++) {
    const { nameOffset, data } = section(index);
    if (names.toString("latin1", nameOffset, names.indexOf(0, nameOffset)) === wanted) return data;
  }
  throw new Error(`a kernel module has no section ${wanted}`);
}
