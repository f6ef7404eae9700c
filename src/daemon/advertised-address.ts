/**
 * By which address others reach a listener of this machine: the one that the operator
 * names, or the one that is listened on. A listener on all addresses is reached by the
 * machine's own: that of the interface with the default route, or else the first.
 */
import { readFile } from "node:fs/promises";
import { hostname, type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import {
  type AdvertisedAddress,
  formatSocketAddress,
  isWildcardHost,
  type SocketAddress,
} from "#config/value-kinds.ts";

export interface MachineAddresses {
  readonly hostName: string;
  /** The interface of the default route, where there is one. */
  readonly defaultInterface: string | undefined;
  /** By interface. */
  readonly addresses: Readonly<
    Record<string, readonly Pick<NetworkInterfaceInfo, "address" | "family" | "internal">[]>
  >;
}

/** @param listening the host as configured, the port as bound. Returns `host:port`. */
export function planAdvertisedAddress(
  advertise: AdvertisedAddress | undefined,
  listening: SocketAddress,
  machine: MachineAddresses,
): string {
  if (advertise !== undefined) {
    return formatSocketAddress({ host: advertise.host, port: advertise.port ?? listening.port });
  }
  const host = isWildcardHost(listening.host) ? ownAddress(machine) : listening.host;
  return formatSocketAddress({ host, port: listening.port });
}

function ownAddress({ hostName, defaultInterface, addresses }: MachineAddresses): string {
  const ofDefault = defaultInterface === undefined ? [] : (addresses[defaultInterface] ?? []);
  const candidates = [...ofDefault, ...Object.values(addresses).flat()].filter(
    ({ internal, address }) => !internal && !address.toLowerCase().startsWith("fe80:"),
  );
  const chosen = candidates.find(({ family }) => family === "IPv4") ?? candidates[0];
  return chosen?.address ?? hostName;
}

export async function readMachineAddresses(): Promise<MachineAddresses> {
  const routes = await readFile("/proc/net/route", "utf8").catch(() => "");
  const addresses = Object.fromEntries(
    Object.entries(networkInterfaces()).map(([name, own = []]) => [name, own] as const),
  );
  return { hostName: hostname(), defaultInterface: parseDefaultInterface(routes), addresses };
}

/** @param routes `/proc/net/route`: interface, destination, gateway, flags, …, metric, mask; the least metric counts */
export function parseDefaultInterface(routes: string): string | undefined {
  const defaults = routes
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, destination, , , , , , mask]) => destination === "00000000" && mask === "00000000")
    .toSorted((left, right) => Number(left[6]) - Number(right[6]));
  return defaults[0]?.[0];
}
