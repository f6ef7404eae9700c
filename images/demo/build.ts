// Builds the demo image: a guest that is up in about two seconds, says so, and answers a few questions.
//
//   node images/demo/build.ts --out DIR
//
// It needs no root and no network: kernel, modules and busybox come from the cache that set-up fills, the
// init and the agent are the shell files beside this one. Equal inputs give equal bytes.

import { readFileSync } from "node:fs";
import { constants, copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { gzip } from "node:zlib";
import { findCacheDir, toolFolders } from "../../scripts/setup/cache-dir.mjs";
import { findExecutable, splitPath } from "../../scripts/setup/host.mjs";
import { type CpioEntry, createCpioArchive } from "./cpio.ts";
import { collectModules, formatModulesDep } from "./kernel-modules.ts";

/**
 * The kernel command line that boots fastest: without the self tests of the crypto code and the check of a
 * timer that a virtual machine cannot get wrong. `panic=-1` and `reboot=t` turn a panic into an immediate
 * end of the machine. On a `microvm` the host adds `tsc_early_khz`.
 */
export const DEMO_COMMAND_LINE = "console=ttyS0 quiet reboot=t panic=-1 cryptomgr.notests no_timer_check";

/** Loaded by init when the machine has the device; what they depend on comes along. */
const MODULES = [
  "button",
  "evdev",
  "pvpanic_pci",
  "qemu_fw_cfg",
  "virtio_balloon",
  "virtio_blk",
  "virtio_console",
  "virtio_mmio",
  "virtio_net",
  "virtio_pci",
  "virtio_rng",
];

const GUEST_FILES = [
  { source: "init", path: "init" },
  { source: "agent", path: "bin/agent" },
  { source: "index.cgi", path: "www/cgi-bin/index.cgi" },
  { source: "udhcpc-script", path: "bin/udhcpc-script" },
  { source: "power-button", path: "etc/acpi/PWRF/00000080" },
];

export interface DemoImage {
  kernelPath: string;
  initrdPath: string;
  commandLinePath: string;
  commandLine: string;
}

export interface DemoImageOptions {
  cacheDir: string;
  outDir: string;
}

/** Writes `vmlinux`, `initrd.cpio.gz` and `cmdline` into `outDir`, which is made when absent. */
export async function buildDemoImage({ cacheDir, outDir }: DemoImageOptions): Promise<DemoImage> {
  await mkdir(outDir, { recursive: true });
  const image = {
    kernelPath: join(outDir, "vmlinux"),
    initrdPath: join(outDir, "initrd.cpio.gz"),
    commandLinePath: join(outDir, "cmdline"),
    commandLine: DEMO_COMMAND_LINE,
  };
  await copyFile(join(cacheDir, "kernel", "vmlinux"), image.kernelPath, constants.COPYFILE_FICLONE);
  const archive = createCpioArchive(listEntries(cacheDir));
  await writeFile(image.initrdPath, await promisify(gzip)(archive, { level: 9 }));
  await writeFile(image.commandLinePath, `${DEMO_COMMAND_LINE}\n`);
  return image;
}

function listEntries(cacheDir: string): CpioEntry[] {
  const busybox = findBusybox(cacheDir);
  const release = readFileSync(join(cacheDir, "kernel", "version"), "utf8").trim();
  const modules = collectModules(join(cacheDir, "kernel", "modules"), MODULES, busybox);
  const modulesDir = `lib/modules/${release}`;
  return [
    ...["dev", "proc", "run", "sys", "tmp"].map((path): CpioEntry => ({ kind: "folder", path })),
    { kind: "device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "bin/busybox", content: readFileSync(busybox), executable: true },
    { kind: "link", path: "bin/sh", target: "busybox" },
    ...GUEST_FILES.map(({ source, path }): CpioEntry => ({
      kind: "file",
      path,
      content: readFileSync(join(import.meta.dirname, source)),
      executable: true,
    })),
    ...modules.map(({ name, content }): CpioEntry => ({
      kind: "file",
      path: `${modulesDir}/${name}.ko`,
      content,
      executable: false,
    })),
    {
      kind: "file",
      path: `${modulesDir}/modules.dep`,
      content: Buffer.from(formatModulesDep(modules)),
      executable: false,
    },
  ];
}

function findBusybox(cacheDir: string): string {
  const folders = [...toolFolders(cacheDir), ...splitPath(process.env["PATH"] ?? "")];
  const busybox = findExecutable("busybox", folders);
  if (busybox === undefined) throw new Error(`no busybox in ${cacheDir} or on PATH; run \`npm run setup\` first`);
  return busybox;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: "string" }, cache: { type: "string" } } });
  if (values.out === undefined) {
    process.stderr.write("usage: node images/demo/build.ts --out DIR [--cache DIR]\n");
    process.exitCode = 2;
    return;
  }
  const image = await buildDemoImage({ cacheDir: values.cache ?? findCacheDir(process.env), outDir: values.out });
  process.stdout.write(`${image.kernelPath}\n${image.initrdPath}\n${image.commandLinePath}\n`);
}

if (import.meta.main) await main();
