import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planOpenedFiles, planQemuArguments, type QemuPlan } from "./qemu-arguments.ts";

const plan: QemuPlan = {
  vmId: "0c8d6f2e-3e0e-4f0e-9d2a-0d3f6f1c2b3a",
  vmName: "web-1",
  accelerator: "tcg",
  machineType: "microvm",
  tscKhz: 2_700_000,
  vcpus: 2,
  memoryBytes: 256 * 1024 * 1024,
  kernel: { hasInitrd: true, commandLine: " console=ttyS0 quiet " },
  disks: [],
  network: undefined,
  traceparent: "00-11111111111111111111111111111111-2222222222222222-01",
};

function valuesOf(argv: readonly string[], name: string): string[] {
  return argv.flatMap((word, index) => (word === name ? [argv[index + 1] ?? ""] : []));
}

describe("QEMU's command line", () => {
  it("gives a guest its processors, memory, kernel and trace", () => {
    const argv = planQemuArguments(plan);
    assert.deepEqual(valuesOf(argv, "-smp"), ["2"]);
    assert.deepEqual(valuesOf(argv, "-m"), ["256M"]);
    assert.deepEqual(valuesOf(argv, "-machine"), ["microvm,pcie=on"]);
    assert.deepEqual(valuesOf(argv, "-append"), ["console=ttyS0 quiet tsc_early_khz=2700000"]);
    assert.ok(valuesOf(argv, "-fw_cfg").includes(`name=opt/org.blixard/traceparent,string=${plan.traceparent}`));
  });

  it("hands baggage to the guest whole, its commas included", () => {
    const argv = planQemuArguments({ ...plan, baggage: "user=alice,team=a%2Cb;p=1" });
    assert.ok(valuesOf(argv, "-fw_cfg").includes("name=opt/org.blixard/baggage,string=user=alice,,team=a%2Cb;p=1"));
    assert.doesNotMatch(planQemuArguments(plan).join(" "), /baggage/);
  });

  it("is always sandboxed, without default devices, and stopped at first", () => {
    for (const accelerator of ["kvm", "tcg"] as const) {
      const argv = planQemuArguments({ ...plan, accelerator, machineType: "q35" });
      assert.deepEqual(valuesOf(argv, "-sandbox"), [
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
      ]);
      for (const word of ["-nodefaults", "-no-user-config", "-no-reboot", "-S"]) assert.ok(argv.includes(word));
      assert.doesNotMatch(argv.join(" "), /tsc_early_khz/);
    }
  });

  it("never lets the user network reach the host", () => {
    const forwards = [{ protocol: "tcp", hostAddress: "127.0.0.1", hostPort: 8080, guestPort: 80 }] as const;
    const network = { kind: "user", macAddress: "52:54:00:00:00:01", forwards } as const;
    assert.deepEqual(valuesOf(planQemuArguments({ ...plan, network }), "-netdev"), [
      "user,id=net0,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:8080-:80",
    ]);
  });

  it("counts descriptors as the guardian hands them over: channels, companions, files", () => {
    const network = { kind: "companion", macAddress: "52:54:00:00:00:01" } as const;
    const base = { format: "qcow2" } as const;
    const disks = [{ name: "root", fileName: "root.qcow2", format: "qcow2", base }] as const;
    const whole: QemuPlan = { ...plan, network, disks };
    const argv = planQemuArguments(whole);
    assert.deepEqual(planOpenedFiles(whole), ["kernel", "initrd", "disk"]);
    assert.match(argv.join(" "), /socket,id=qmp,fd=3 .*socket,id=agent,fd=4 .*addr\.type=fd,addr\.str=5/);
    assert.deepEqual(valuesOf(argv, "-kernel"), ["/proc/self/fd/6"]);
    assert.deepEqual(valuesOf(argv, "-initrd"), ["/proc/self/fd/7"]);
    assert.match(valuesOf(argv, "-blockdev")[0] ?? "", /"\/proc\/self\/fd\/8"/);
    assert.deepEqual(planOpenedFiles({ ...plan, kernel: undefined, disks }), ["disk"]);
  });

  it("never follows the backing file that an image names", () => {
    const base = { format: "qcow2" } as const;
    const disks = [{ name: "root", fileName: "root.qcow2", format: "qcow2", base }] as const;
    const [node = ""] = valuesOf(planQemuArguments({ ...plan, disks }), "-blockdev");
    const { backing } = JSON.parse(node) as { backing: { backing: unknown; "read-only": boolean } };
    assert.deepEqual([backing.backing, backing["read-only"]], [null, true]);
  });

  it("boots from the first disk when there is no kernel", () => {
    const disks = ["root", "data"].map((name) => ({ name, fileName: name, format: "raw", base: undefined }) as const);
    const devices = valuesOf(planQemuArguments({ ...plan, kernel: undefined, disks }), "-device");
    assert.deepEqual(
      devices.filter((device) => device.startsWith("virtio-blk")),
      [
        "virtio-blk-pci,drive=disk0,id=disk0,serial=root,bootindex=0",
        "virtio-blk-pci,drive=disk1,id=disk1,serial=data",
      ],
    );
  });

  it("refuses a kernel command line that the kernel would cut", () => {
    const kernel = { hasInitrd: false, commandLine: "x".repeat(2100) };
    assert.throws(() => planQemuArguments({ ...plan, kernel }), {
      code: "INVALID_ARGUMENT",
      field: "spec.commandLine",
    });
  });
});
