import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { PublishedPort } from "#model/vm.ts";
import { findCacheDir } from "#process/find-tool.ts";
import { deriveMacAddress, ensureNetwork, tapNameOf, type VmNetworkPlan } from "./vm-network.ts";

const tools = { path: process.env["PATH"] ?? "", cacheDir: findCacheDir(process.env) };

function publish(ports: readonly PublishedPort[], egress = false): Promise<VmNetworkPlan> {
  return ensureNetwork({
    vmId: "vm-1",
    spec: { kind: "user", ports, egress },
    tools,
    isRoot: true,
    user: { uid: 7, gid: 8 },
  });
}

const anyPort = (protocol: "tcp" | "udp"): PublishedPort => ({
  hostAddress: "127.0.0.1",
  hostPort: 0,
  guestPort: 80,
  protocol,
});

describe("a VM's network", () => {
  it("has a MAC address and an interface name that are the VM's own for ever", () => {
    fc.assert(
      fc.property(fc.uuid(), (vmId) => {
        assert.match(deriveMacAddress(vmId), /^52:54:00(:[0-9a-f]{2}){3}$/);
        assert.match(tapNameOf(vmId), /^blx[0-9a-f]{12}$/);
        assert.equal(deriveMacAddress(vmId), deriveMacAddress(vmId));
      }),
    );
    assert.notEqual(deriveMacAddress("vm-1"), deriveMacAddress("vm-2"));
  });

  it("chooses a port of its own for each that was left open", async () => {
    const { publishedPorts, needsHostNetwork } = await publish([anyPort("tcp"), anyPort("tcp"), anyPort("udp")]);
    assert.equal(needsHostNetwork, true);
    assert.ok(publishedPorts.every((port) => port.hostPort > 0));
    assert.equal(new Set(publishedPorts.map((port) => `${port.protocol}${port.hostPort}`)).size, 3);
  });

  it("refuses a port that is taken, by name, and frees the others", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const hostPort = (server.address() as AddressInfo).port;
    const refused = publish([anyPort("tcp"), { ...anyPort("tcp"), hostPort }]);
    await assert.rejects(refused, { code: "PORT_TAKEN", message: new RegExp(`127.0.0.1:${hostPort}/tcp`) });
    server.close();
  });

  it("has no way to the host's network when it publishes nothing", async () => {
    const { needsHostNetwork, network } = await publish([]);
    assert.equal(needsHostNetwork, false);
    assert.equal(network?.kind, "user");
  });

  it("leads out through a helper that keeps off the host's loopback", async () => {
    const { companion, network } = await publish([anyPort("tcp")], true);
    assert.equal(network?.kind, "companion");
    const line = companion?.join(" ") ?? "";
    assert.match(line, /passt .*--fd=3 .*--no-map-gw .*--runas 7:8 --tcp-ports 127\.0\.0\.1\/\d+:80/);
  });

  it("has no bridge without root", async () => {
    const spec = { kind: "bridge", bridge: "br0", macAddress: undefined } as const;
    const refused = ensureNetwork({ vmId: "vm-1", spec, tools, isRoot: false, user: undefined });
    await assert.rejects(refused, { code: "HYPERVISOR_FAILED", message: /only root/ });
  });
});
