import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type MachineAddresses, parseDefaultInterface, planAdvertisedAddress } from "./advertised-address.ts";

const machine: MachineAddresses = {
  hostName: "rack-4",
  defaultInterface: "eth0",
  addresses: {
    lo: [{ address: "127.0.0.1", family: "IPv4", internal: true }],
    virbr0: [{ address: "192.168.122.1", family: "IPv4", internal: false }],
    eth0: [
      { address: "fe80::1", family: "IPv6", internal: false },
      { address: "2001:db8::4", family: "IPv6", internal: false },
      { address: "10.0.0.4", family: "IPv4", internal: false },
    ],
  },
};
const everywhere = { host: "0.0.0.0", port: 9090 };

describe("the address by which others reach the metrics page", () => {
  test("is what the operator says, with the listener's port unless there is another", () => {
    assert.equal(
      planAdvertisedAddress({ host: "node-1.example", port: undefined }, everywhere, machine),
      "node-1.example:9090",
    );
    assert.equal(
      planAdvertisedAddress({ host: "2001:db8::9", port: 19_090 }, everywhere, machine),
      "[2001:db8::9]:19090",
    );
  });
  test("is the one that is listened on, by the name it was given", () => {
    assert.equal(planAdvertisedAddress(undefined, { host: "10.1.2.3", port: 9 }, machine), "10.1.2.3:9");
    assert.equal(planAdvertisedAddress(undefined, { host: "node-1.example", port: 9 }, machine), "node-1.example:9");
    assert.equal(planAdvertisedAddress(undefined, { host: "127.0.0.1", port: 9 }, machine), "127.0.0.1:9");
  });
  test("is that of the interface with the default route, when all are listened on", () => {
    for (const host of ["0.0.0.0", "::", "0:0:0:0:0:0:0:0"]) {
      assert.equal(planAdvertisedAddress(undefined, { host, port: 9090 }, machine), "10.0.0.4:9090");
    }
  });
  test("is the first own one without a default route, IPv6 where there is nothing else, at last the host name", () => {
    const { eth0 = [], ...others } = machine.addresses;
    assert.equal(
      planAdvertisedAddress(undefined, everywhere, { ...machine, defaultInterface: undefined }),
      "192.168.122.1:9090",
    );
    assert.equal(
      planAdvertisedAddress(undefined, everywhere, { ...machine, addresses: { eth0: eth0.slice(0, 2) } }),
      "[2001:db8::4]:9090",
    );
    const alone = { ...machine, addresses: { lo: others["lo"] ?? [] } };
    assert.equal(planAdvertisedAddress(undefined, everywhere, alone), "rack-4:9090");
  });
});

test("the default route is that with the least metric", () => {
  const routes = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
`;
  assert.equal(parseDefaultInterface(routes), "eth0");
  assert.equal(parseDefaultInterface(""), undefined);
});
