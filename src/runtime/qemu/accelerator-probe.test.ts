import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { BlixardError } from "#model/errors.ts";
import { findCacheDir, findTool } from "#process/find-tool.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";
import {
  createProbeRom,
  judgeProbe,
  planAccelerator,
  probeAccelerator,
  type ProbeGuestOptions,
  type ProbeRun,
  runProbeGuest,
} from "./accelerator-probe.ts";

const passed: ProbeRun = { exitCode: 85, letters: "RPLIU", timedOut: false, stderr: "", durationMs: 42.6 };
const crashed: ProbeRun = { ...passed, exitCode: 0 };
const hung: ProbeRun = { ...passed, exitCode: undefined, timedOut: true };

describe("judging a probe guest", () => {
  it("calls KVM usable only when the guest came through and QEMU ended as the guest told it", () => {
    assert.deepEqual(judgeProbe(passed), { usable: true, reason: "probe guest ran in 43 ms" });
    for (const letters of ["", "R", "RP", "RPL", "RPLI", "RPLIUU", "UILPR"]) {
      assert.equal(judgeProbe({ ...passed, letters }).usable, false, letters);
    }
    for (const exitCode of [0, 1, 84, undefined]) assert.equal(judgeProbe({ ...passed, exitCode }).usable, false);
  });

  for (const [run, reason] of [
    [{ ...hung, letters: "" }, /the probe guest hung while starting$/],
    [{ ...hung, letters: "RPL" }, /the probe guest hung while waiting for a timer interrupt$/],
    [{ ...crashed, letters: "RPLI" }, /the probe guest crashed while in user mode$/],
    [{ ...crashed, letters: "RX" }, /the probe guest crashed while writing nonsense$/],
    [{ ...crashed, letters: "RPLS" }, /emulates every instruction/],
    [
      { ...crashed, letters: "", exitCode: 1, stderr: "warning\nno KVM, sorry\n" },
      /^QEMU cannot use KVM: no KVM, sorry$/,
    ],
  ] as const) {
    it(`tells what went wrong: ${reason.source}`, () => assert.match(judgeProbe(run).reason, reason));
  }
});

describe("choosing the accelerator", () => {
  const usable = { usable: true, reason: "it ran" };
  const unusable = { usable: false, reason: "it hung" };

  it("takes KVM where it is usable, and says why not where it is not", () => {
    assert.deepEqual(planAccelerator("auto", usable), { accelerator: "kvm", reason: "it ran", kvmUsable: true });
    assert.deepEqual(planAccelerator("kvm", usable), { accelerator: "kvm", reason: "it ran", kvmUsable: true });
    assert.deepEqual(planAccelerator("auto", unusable), { accelerator: "tcg", reason: "it hung", kvmUsable: false });
  });

  it("refuses to start without KVM where it is demanded, and names the way out", () => {
    assert.throws(
      () => planAccelerator("kvm", unusable),
      (error) => {
        assert.ok(error instanceof BlixardError);
        assert.equal(error.code, "CONFIG_INVALID");
        assert.match(error.message, /it hung/);
        assert.match(error.hint ?? "", /"auto"/);
        return true;
      },
    );
  });
});

describe("the ROM", () => {
  it("fills 64 KiB, and where the processor begins it jumps to its start", () => {
    const rom = createProbeRom();
    assert.equal(rom.length, 65_536);
    assert.deepEqual([...rom.subarray(0xfff0, 0xfff6)], [0xea, 0, 0, 0, 0xf0, 0]);
    assert.notEqual(rom[0], 0);
  });
});

describe("probing this host", () => {
  const qemuPath = findTool("qemu-system-x86_64", {
    path: process.env["PATH"] ?? "",
    cacheDir: findCacheDir(process.env),
  });
  let root: string;
  let options: ProbeGuestOptions;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "blixard-probe-"));
    options = { qemuPath, directory: root, clock: createSystemClock() };
  });
  after(() => rm(root, { recursive: true }));

  /** A program in QEMU's place. */
  async function fakeQemu(script: string): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), "blixard-fake-"));
    after(() => rm(directory, { recursive: true }));
    const path = join(directory, "qemu");
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
    return path;
  }

  it("the guest comes through where the processor is emulated, so a failure under KVM is KVM's", async () => {
    const run = await runProbeGuest("tcg", options);
    assert.deepEqual({ ...run, durationMs: 0 }, { ...passed, durationMs: 0 });
    assert.deepEqual(await readdir(root), []);
  });

  it("gives an accelerator that goes with its finding, and leaves nothing behind", async () => {
    const choice = await probeAccelerator({ ...options, accelerator: "auto" });
    assert.equal(choice.accelerator, choice.kvmUsable ? "kvm" : "tcg");
    assert.match(choice.reason, choice.kvmUsable ? /^probe guest ran in \d+ ms$/ : /\/dev\/kvm|QEMU cannot use KVM/);
    assert.deepEqual(await readdir(root), []);
  });

  it("runs nothing when KVM is not wanted", async () => {
    const choice = await probeAccelerator({ ...options, accelerator: "tcg", qemuPath: "/nowhere/qemu" });
    assert.deepEqual(choice, { accelerator: "tcg", reason: "configured; KVM was not tried", kvmUsable: undefined });
  });

  it("says that the device is missing, and starts no QEMU for it", async () => {
    const devicePath = join(root, "kvm");
    const choice = await probeAccelerator({ ...options, accelerator: "auto", devicePath, qemuPath: "/nowhere/qemu" });
    assert.deepEqual(choice, { accelerator: "tcg", reason: `${devicePath} is missing`, kvmUsable: false });
  });

  it("kills a guest that hangs, and tells how far it came", async () => {
    const qemu = await fakeQemu("printf RP; exec sleep 600");
    const run = await runProbeGuest("kvm", { ...options, qemuPath: qemu });
    assert.match(judgeProbe(run).reason, /hung while entering long mode$/);
    assert.deepEqual(await readdir(root), []);
  });

  it("runs QEMU behind the wrapper that guests get", async () => {
    const wrapper = [await fakeQemu('printf "%s " "$1" "$2" "$3"'), "--as-user"];
    const { letters } = await runProbeGuest("tcg", { ...options, wrapper });
    assert.equal(letters, `--as-user ${qemuPath} -M `);
  });

  it("ends with its caller's signal and leaves nothing behind", async () => {
    const controller = new AbortController();
    const qemu = await fakeQemu("exec sleep 600");
    const running = runProbeGuest("kvm", { ...options, qemuPath: qemu, signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(running, /enough/);
    assert.deepEqual(await readdir(root), []);
  });

  it("names the folder that it cannot write to", async () => {
    await assert.rejects(runProbeGuest("tcg", { ...options, directory: join(root, "missing") }), {
      code: "DATA_DIRECTORY_UNUSABLE",
    });
  });
});
