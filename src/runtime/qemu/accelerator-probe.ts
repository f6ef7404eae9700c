/**
 * Whether guests run under KVM here, found out by running one.
 *
 * `/dev/kvm` may open, and QEMU may start, where no guest comes up: nested hosts
 * hang, crash, or emulate a guest's kernel a thousand times too slowly. So a
 * ROM of half a KiB (`images/kvm-probe`) does what a kernel does and counts only
 * if it comes through. The runtime asks once, at its start. A passed probe
 * promises nothing about an image: the boot watchdog still has its say.
 */
import { constants } from "node:fs";
import { access, chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import { runCommand } from "#process/run.ts";
import { kvmProbeCode } from "./kvm-probe-rom.ts";

export interface ProbeGuestOptions {
  /** Absolute path. */
  readonly qemuPath: string;
  /** Existing folder for the guest's ROM, which is removed again. Those who run guests must be able to enter it. */
  readonly directory: string;
  /**
   * Put before QEMU's command line, as for guests: an absolute path and its arguments. When it changes the user,
   * it must also set `--pdeathsig KILL`.
   */
  readonly wrapper?: readonly string[];
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

export interface ProbeAcceleratorOptions extends ProbeGuestOptions {
  readonly accelerator: ConfiguredAccelerator;
  /** Default `/dev/kvm`, the only one that QEMU opens. */
  readonly devicePath?: string;
}

export type ConfiguredAccelerator = "auto" | "kvm" | "tcg";

/** Fits `RuntimeCapabilities` (there `acceleratorReason`). */
export interface AcceleratorChoice {
  readonly accelerator: "kvm" | "tcg";
  readonly reason: string;
  /** Undefined: it was not tried. */
  readonly kvmUsable: boolean | undefined;
}

export interface KvmVerdict {
  readonly usable: boolean;
  /** "probe guest ran in 43 ms", "/dev/kvm is there, but the probe guest hung while …". */
  readonly reason: string;
}

/** How the probe guest ended. */
export interface ProbeRun {
  readonly exitCode: number | undefined;
  /** What it wrote to the debug console: a letter for each thing that worked. */
  readonly letters: string;
  /** It was killed because its time was over. */
  readonly timedOut: boolean;
  readonly stderr: string;
  readonly durationMs: number;
}

const TIMEOUT_MS = 1500;
const EXIT_CODE = 85;
const LETTERS = "RPLIU";
const ROM_BYTES = 64 * 1024;
const RESET_VECTOR = 0xfff0;
/** What the guest was at when it had written so many letters. */
const steps = [
  "starting",
  "entering protected mode",
  "entering long mode",
  "waiting for a timer interrupt",
  "in user mode",
  "ending",
] as const;

/**
 * The accelerator to use, with the reason. KVM is tried unless `tcg` is configured.
 * @throws BlixardError CONFIG_INVALID when `kvm` is configured but not usable; TOOL_MISSING;
 *   DATA_DIRECTORY_UNUSABLE; the signal's reason when aborted
 */
export async function probeAccelerator(options: ProbeAcceleratorOptions): Promise<AcceleratorChoice> {
  const verdict = options.accelerator === "tcg" ? undefined : await probeKvm(options);
  return planAccelerator(options.accelerator, verdict);
}

/** @param kvm undefined when it was not tried */
export function planAccelerator(configured: ConfiguredAccelerator, kvm: KvmVerdict | undefined): AcceleratorChoice {
  if (configured === "tcg") {
    return { accelerator: "tcg", reason: "configured; KVM was not tried", kvmUsable: undefined };
  }
  const { usable, reason } = kvm ?? { usable: false, reason: "KVM was not tried" };
  if (configured === "kvm" && !usable) {
    throw new BlixardError("CONFIG_INVALID", `runtime.accelerator is "kvm", which is not usable here: ${reason}`, {
      hint: 'set runtime.accelerator to "auto" to run guests without KVM where it is not usable',
    });
  }
  return { accelerator: usable ? "kvm" : "tcg", reason, kvmUsable: usable };
}

async function probeKvm(options: ProbeAcceleratorOptions): Promise<KvmVerdict> {
  const devicePath = options.devicePath ?? "/dev/kvm";
  try {
    await access(devicePath, constants.R_OK | constants.W_OK);
  } catch (error) {
    return { usable: false, reason: describeAccess(devicePath, error) };
  }
  return judgeProbe(await runProbeGuest("kvm", options));
}

function describeAccess(path: string, error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return `${path} is missing`;
  if (code === "EACCES" || code === "EPERM") return `${path} is there, but this user may not open it`;
  return `${path} cannot be opened (${String(code)})`;
}

export function judgeProbe(run: ProbeRun): KvmVerdict {
  if (run.exitCode === EXIT_CODE && run.letters === LETTERS) {
    return { usable: true, reason: `probe guest ran in ${Math.round(run.durationMs)} ms` };
  }
  return { usable: false, reason: describeFailure(run) };
}

function describeFailure({ letters, timedOut, exitCode, stderr }: ProbeRun): string {
  if (letters.endsWith("S")) {
    return "/dev/kvm is there, but the host emulates every instruction of a guest's kernel, slower than without KVM";
  }
  const message = stderr.trim().split("\n").at(-1) ?? "";
  if (letters === "" && !timedOut && exitCode !== 0 && message !== "") return `QEMU cannot use KVM: ${message}`;
  const step = LETTERS.startsWith(letters) ? steps[letters.length] : undefined;
  return `/dev/kvm is there, but the probe guest ${timedOut ? "hung" : "crashed"} while ${step ?? "writing nonsense"}`;
}

/**
 * Runs the probe guest to its end, at most 1.5 s; nothing is left behind.
 * @throws BlixardError TOOL_MISSING, DATA_DIRECTORY_UNUSABLE; the signal's reason when aborted
 */
export async function runProbeGuest(accelerator: "kvm" | "tcg", options: ProbeGuestOptions): Promise<ProbeRun> {
  const { clock, wrapper = [], signal } = options;
  await using rom = await writeRom(options.directory);
  const [command = options.qemuPath, ...args] = [...wrapper, options.qemuPath, ...probeArgs(accelerator, rom.path)];
  const startMs = clock.monotonicMs();
  const result = await runCommand({
    command,
    args,
    timeoutMs: TIMEOUT_MS,
    ...(signal === undefined ? {} : { signal }),
  });
  return {
    exitCode: result.code,
    letters: result.stdout,
    timedOut: result.timedOut,
    stderr: result.stderr,
    durationMs: clock.monotonicMs() - startMs,
  };
}

function probeArgs(accelerator: "kvm" | "tcg", romPath: string): string[] {
  const cpu = accelerator === "kvm" ? "host" : "max";
  return [
    `-M microvm -accel ${accelerator} -cpu ${cpu} -m 16M -nodefaults -no-user-config -display none -no-reboot`,
    "-device isa-debug-exit,iobase=0xf4,iosize=1",
    "-chardev stdio,id=letters,signal=off -device isa-debugcon,iobase=0xe9,chardev=letters",
  ]
    .flatMap((line) => line.split(" "))
    .concat("-bios", romPath);
}

/** The code at the start, and a far jump to it (F000:0000) where the processor begins. */
export function createProbeRom(): Uint8Array {
  const rom = new Uint8Array(ROM_BYTES);
  rom.set(Buffer.from(kvmProbeCode, "base64"));
  rom.set([0xea, 0x00, 0x00, 0x00, 0xf0], RESET_VECTOR);
  return rom;
}

async function writeRom(parent: string): Promise<AsyncDisposable & { readonly path: string }> {
  let directory: string | undefined;
  const remove = async (): Promise<void> => {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  };
  try {
    directory = await mkdtemp(join(parent, "kvm-probe-"));
    const path = join(directory, "rom");
    await writeFile(path, createProbeRom());
    // Whatever the umask: the wrapper may change the user.
    await chmod(directory, 0o755);
    await chmod(path, 0o644);
    return { path, [Symbol.asyncDispose]: remove };
  } catch (cause) {
    await remove();
    throw new BlixardError("DATA_DIRECTORY_UNUSABLE", `cannot write the probe guest to ${parent}`, { cause });
  }
}
