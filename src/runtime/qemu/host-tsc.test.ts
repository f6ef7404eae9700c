import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { BlixardError } from "#model/errors.ts";
import { parseTscKhz, planMachineType, readHostTscKhz } from "./host-tsc.ts";

describe("the host's TSC frequency in the kernel log", () => {
  const early = ["Linux version 6.1.0", "tsc: Fast TSC calibration using PIT", "tsc: Detected 2095.076 MHz processor"];
  const refined = "tsc: Refined TSC clocksource calibration: 2095.078 MHz";

  for (const [name, messages, khz] of [
    ["the early calibration will do", early, 2_095_076],
    ["the refined one is better", [...early, refined], 2_095_078],
    ["the counter may run at another rate than the processor", [...early, "tsc: Detected 2100.000 MHz TSC"], 2_100_000],
    [
      "a counter that the kernel gave up has none",
      [...early, "tsc: Marking TSC unstable due to clocksource watchdog"],
      undefined,
    ],
    [
      "a log without its beginning has none",
      ["clocksource: Switched to clocksource tsc", "TSC deadline timer available"],
      undefined,
    ],
    ["an absurd rate is none", ["tsc: Detected 0.000 MHz processor"], undefined],
    ["what merely mentions it is none", ["app: tsc: Detected 2095.076 MHz processor"], undefined],
  ] as const) {
    it(name, () => assert.equal(parseTscKhz(messages), khz));
  }

  it("is unknown where the log cannot be read", () => assert.equal(readHostTscKhz("/nowhere/kmsg"), undefined));

  it("is read from the kernel's own records only", async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "blixard-tsc-"));
    t.after(() => rm(directory, { recursive: true }));
    const path = join(directory, "kmsg");
    await writeFile(path, "6,5,20,-;tsc: Detected 2095.076 MHz processor\n SUBSYSTEM=none\n");
    assert.equal(readHostTscKhz(path), 2_095_076);
    await writeFile(path, "14,5,20,-;tsc: Detected 2095.076 MHz processor\n");
    assert.equal(readHostTscKhz(path), undefined);
  });

  it("is a plausible rate or unknown on this host", () => {
    const khz = readHostTscKhz();
    assert.ok(khz === undefined || (Number.isInteger(khz) && khz >= 100_000), String(khz));
  });
});

describe("the machine type", () => {
  it("is microvm where the frequency is known, else q35", () => {
    assert.deepEqual(planMachineType({ configured: "auto", tscKhz: 2_095_078 }), {
      machineType: "microvm",
      reason: "the host's TSC runs at 2095078 kHz",
      tscKhz: 2_095_078,
    });
    assert.equal(planMachineType({ configured: "auto", tscKhz: undefined }).machineType, "q35");
  });

  it("is the configured one", () => {
    assert.equal(planMachineType({ configured: "q35", tscKhz: 2_095_078 }).machineType, "q35");
    assert.equal(planMachineType({ configured: "microvm", tscKhz: 2_095_078 }).machineType, "microvm");
  });

  it("is never microvm without the frequency, and the refusal names the way out", () => {
    assert.throws(
      () => planMachineType({ configured: "microvm", tscKhz: undefined }),
      (error) => error instanceof BlixardError && error.code === "CONFIG_INVALID" && /"q35"/.test(error.hint ?? ""),
    );
  });
});
