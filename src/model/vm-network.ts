/** The network part of a VM's spec: none, published ports through the hypervisor's user network, or a bridge. */
import { describe, invalid } from "./names.ts";
import type { PublishedPort, VmNetwork } from "./vm.ts";

export type VmNetworkInput =
  | { readonly kind: "none" }
  | {
      readonly kind: "user";
      readonly ports?: readonly PublishedPortInput[] | undefined;
      readonly egress?: boolean | undefined;
    }
  | {
      readonly kind: "bridge";
      readonly bridge?: string | undefined;
      readonly macAddress?: string | undefined;
    };

export interface PublishedPortInput {
  /** Default 127.0.0.1. */
  readonly hostAddress?: string | undefined;
  /** Default 0: the node chooses. */
  readonly hostPort?: number | undefined;
  readonly guestPort?: number | undefined;
  /** "tcp" (default) or "udp". */
  readonly protocol?: string | undefined;
}

export const MAXIMUM_PUBLISHED_PORTS = 64;

const IPV4_ADDRESS = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;
// IFNAMSIZ is 16 with the terminating zero; no slash, no white space, not "." or "..".
const INTERFACE_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,15}$/;
const MAC_ADDRESS = /^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/;

/** @throws BlixardError INVALID_ARGUMENT */
export function parseVmNetwork(value: unknown, field: string): VmNetwork {
  if (value === undefined) return { kind: "none" };
  if (typeof value !== "object" || value === null) {
    throw invalid(field, `${describe(value)} is not a network`, "Choose none, user or bridge.");
  }
  const network: Readonly<Record<string, unknown>> = { ...value };
  switch (network["kind"]) {
    case "none":
      return { kind: "none" };
    case "user":
      return {
        kind: "user",
        ports: parsePorts(network["ports"], `${field}.user.ports`),
        egress: parseEgress(network["egress"], `${field}.user.egress`),
      };
    case "bridge":
      return {
        kind: "bridge",
        bridge: parseBridge(network["bridge"], `${field}.bridge.bridge`),
        macAddress: parseMacAddress(network["macAddress"], `${field}.bridge.macAddress`),
      };
    default:
      throw invalid(field, `${describe(network["kind"])} is not a kind of network`, "Choose none, user or bridge.");
  }
}

function parsePorts(value: unknown, field: string): readonly PublishedPort[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(field, "is not a list of ports", "Give a list of ports.");
  if (value.length > MAXIMUM_PUBLISHED_PORTS) {
    throw invalid(field, `${value.length} published ports are too many`, `Use at most ${MAXIMUM_PUBLISHED_PORTS}.`);
  }
  const ports = value.map((port: unknown, index) => parsePort(port, `${field}[${index}]`));
  for (const [index, port] of ports.entries()) {
    if (ports.slice(0, index).some((other) => collides(other, port))) {
      throw invalid(
        `${field}[${index}]`,
        `port ${port.hostPort}/${port.protocol} of the host is published twice`,
        "Publish every host port once, or use 0 to let the node choose.",
      );
    }
  }
  return ports;
}

function collides(left: PublishedPort, right: PublishedPort): boolean {
  if (left.hostPort === 0 || left.hostPort !== right.hostPort || left.protocol !== right.protocol) return false;
  return left.hostAddress === right.hostAddress || left.hostAddress === "0.0.0.0" || right.hostAddress === "0.0.0.0";
}

function parsePort(value: unknown, field: string): PublishedPort {
  if (typeof value !== "object" || value === null) {
    throw invalid(field, `${describe(value)} is not a published port`, "Give hostPort and guestPort.");
  }
  const port: Readonly<Record<string, unknown>> = { ...value };
  return {
    hostAddress: parseHostAddress(port["hostAddress"], `${field}.hostAddress`),
    hostPort: parsePortNumber(port["hostPort"] ?? 0, 0, `${field}.hostPort`),
    guestPort: parsePortNumber(port["guestPort"], 1, `${field}.guestPort`),
    protocol: parseProtocol(port["protocol"], `${field}.protocol`),
  };
}

function parseHostAddress(value: unknown, field: string): string {
  if (value === undefined || value === "") return "127.0.0.1";
  if (typeof value === "string" && IPV4_ADDRESS.test(value)) return value;
  throw invalid(field, `${describe(value)} is not an IPv4 address`, "Use an address of the host, e.g. 127.0.0.1.");
}

function parsePortNumber(value: unknown, minimum: number, field: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= minimum && value <= 65_535) return value;
  throw invalid(field, `${describe(value)} is not a port`, `Use ${minimum} to 65535.`);
}

function parseProtocol(value: unknown, field: string): "tcp" | "udp" {
  if (value === undefined || value === "") return "tcp";
  if (value === "tcp" || value === "udp") return value;
  throw invalid(field, `${describe(value)} is not a protocol`, 'Use "tcp" or "udp".');
}

function parseEgress(value: unknown, field: string): boolean {
  if (value === undefined || typeof value === "boolean") return value ?? false;
  throw invalid(field, `${describe(value)} is neither true nor false`, "Use true or false.");
}

function parseBridge(value: unknown, field: string): string {
  if (typeof value === "string" && INTERFACE_NAME.test(value)) return value;
  throw invalid(
    field,
    `${describe(value)} is not the name of a bridge`,
    "Name a bridge that exists on the host, e.g. br0.",
  );
}

function parseMacAddress(value: unknown, field: string): string | undefined {
  if (value === undefined || value === "") return undefined;
  const lower = typeof value === "string" ? value.toLowerCase() : "";
  if (MAC_ADDRESS.test(lower)) return lower;
  throw invalid(
    field,
    `${describe(value)} is not a unicast MAC address`,
    'Use e.g. "52:54:00:12:34:56", or leave it out.',
  );
}
