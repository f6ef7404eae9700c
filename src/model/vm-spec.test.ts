import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BlixardError } from "./errors.ts";
import { parseImageName, parseLabels, parseOperationId, parseVmName } from "./names.ts";
import { parseVmSpec, type VmSpecInput } from "./vm-spec.ts";

const refusedField = (input: VmSpecInput): string | undefined => {
  try {
    parseVmSpec({ image: "demo", ...input });
  } catch (error) {
    assert.ok(error instanceof BlixardError && error.code === "INVALID_ARGUMENT", String(error));
    assert.ok(error.hint !== undefined && error.message !== "");
    return error.field;
  }
  return undefined;
};

describe("a VM's spec", () => {
  it("needs nothing but an image", () => {
    assert.deepEqual(parseVmSpec({ image: "demo" }), {
      vcpus: 1,
      memoryBytes: 268_435_456,
      image: "demo",
      commandLine: "",
      network: { kind: "none" },
      disks: [],
      onNodeLoss: "restart",
      acceptDiskLoss: false,
      labels: {},
      restartPolicy: "on-failure",
      bootTimeoutMs: 120_000,
      stopTimeoutMs: 15_000,
      guestAgent: undefined,
    });
  });

  it("takes zero and empty for the default, as the wire sends them", () => {
    const spec = parseVmSpec({ image: "demo", vcpus: 0, memoryBytes: 0n, restartPolicy: "", onNodeLoss: "" });
    assert.deepEqual(spec, parseVmSpec({ image: "demo" }));
  });

  it("beyond the limits is refused with the field that is wrong", () => {
    assert.equal(refusedField({ image: "" }), "spec.image");
    assert.equal(refusedField({ vcpus: 65 }), "spec.vcpus");
    assert.equal(refusedField({ vcpus: 1.5 }), "spec.vcpus");
    assert.equal(refusedField({ memoryBytes: 1 }), "spec.memoryBytes");
    assert.equal(refusedField({ memoryBytes: 64 * 1024 * 1024 + 1 }), "spec.memoryBytes");
    assert.equal(refusedField({ memoryBytes: 2n ** 63n }), "spec.memoryBytes");
    assert.equal(refusedField({ commandLine: "a".repeat(1025) }), "spec.commandLine");
    assert.equal(refusedField({ commandLine: "quiet\ninit=/bin/sh" }), "spec.commandLine");
    assert.equal(refusedField({ bootTimeoutMs: Number.NaN }), "spec.bootTimeout");
    assert.equal(refusedField({ restartPolicy: "sometimes" }), "spec.restartPolicy");
    assert.equal(refusedField({ labels: { "": "x" } }), "spec.labels");
    assert.equal(refusedField({ labels: { tier: "a\u0000b" } }), "spec.labels.tier");
  });

  it("holds a VM with a persistent disk on its node, unless the loss is accepted in writing", () => {
    const disks = [{ name: "data", sizeBytes: 1 << 30, kind: "persistent" }];
    assert.equal(parseVmSpec({ image: "demo", disks }).onNodeLoss, "hold");
    assert.equal(refusedField({ disks, onNodeLoss: "restart" }), "spec.onNodeLoss");
    const accepted = parseVmSpec({ image: "demo", disks, onNodeLoss: "restart", acceptDiskLoss: true });
    assert.equal(accepted.onNodeLoss, "restart");
  });

  it("names every disk once", () => {
    const disk = { name: "data", sizeBytes: 1 << 20 };
    assert.equal(refusedField({ disks: [disk, disk] }), "spec.disks[1].name");
    assert.equal(
      refusedField({ disks: [{ name: "a-name-too-long-for-virtio", sizeBytes: 1 << 20 }] }),
      "spec.disks[0].name",
    );
    assert.equal(refusedField({ disks: [{ name: "data" }] }), "spec.disks[0].sizeBytes");
  });

  it("publishes every host port once", () => {
    const network = (...ports: { hostAddress?: string; hostPort?: number; guestPort?: number; protocol?: string }[]) =>
      refusedField({ network: { kind: "user", ports } });
    assert.equal(network({ hostPort: 80, guestPort: 80 }, { hostPort: 80, guestPort: 81, protocol: "udp" }), undefined);
    assert.equal(network({ guestPort: 80 }, { guestPort: 80 }), undefined);
    assert.equal(
      network({ hostPort: 80, guestPort: 80 }, { hostPort: 80, guestPort: 81 }),
      "spec.network.user.ports[1]",
    );
    assert.equal(
      network({ hostPort: 80, guestPort: 80 }, { hostAddress: "0.0.0.0", hostPort: 80, guestPort: 81 }),
      "spec.network.user.ports[1]",
    );
    assert.equal(network({ hostPort: 80 }), "spec.network.user.ports[0].guestPort");
    assert.equal(network({ hostAddress: "1.2.3", guestPort: 1 }), "spec.network.user.ports[0].hostAddress");
    assert.equal(network({ hostAddress: "127.0.0.1-:22", guestPort: 1 }), "spec.network.user.ports[0].hostAddress");
  });

  it("takes a bridge by a name that Linux takes, and a unicast MAC address", () => {
    const bridge = (name: string, macAddress?: string) =>
      refusedField({ network: { kind: "bridge", bridge: name, macAddress } });
    assert.equal(bridge("br0", "52:54:00:AB:cd:ef"), undefined);
    assert.equal(bridge("br0,script=/bin/sh"), "spec.network.bridge.bridge");
    assert.equal(bridge("br0", "53:54:00:00:00:00"), "spec.network.bridge.macAddress");
  });
});

describe("names", () => {
  it("of VMs are host names that cannot be mistaken for ids", () => {
    assert.equal(parseVmName("web-1"), "web-1");
    for (const name of [
      "",
      "1web",
      "Web",
      "web.1",
      "a".repeat(64),
      "a\n",
      undefined,
      7,
      "abcdef01-0000-4000-8000-000000000000",
    ]) {
      assert.throws(() => parseVmName(name), { code: "INVALID_ARGUMENT", field: "name" }, String(name));
    }
  });

  it("of images may carry versions", () => {
    assert.equal(parseImageName("debian-12.5_cloud"), "debian-12.5_cloud");
    for (const name of ["", ".hidden", "../etc", "Demo", "a/b"]) {
      assert.throws(() => parseImageName(name), { code: "INVALID_ARGUMENT" }, name);
    }
  });

  it("of operations may be left to the node", () => {
    assert.equal(parseOperationId(""), undefined);
    assert.equal(parseOperationId("5f0c.deploy:1"), "5f0c.deploy:1");
    assert.throws(() => parseOperationId("a b"), { code: "INVALID_ARGUMENT", field: "operationId" });
  });

  it("of labels are counted", () => {
    const labels = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, ""]));
    assert.throws(() => parseLabels(labels), { code: "INVALID_ARGUMENT" });
  });
});
