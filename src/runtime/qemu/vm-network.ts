/**
 * A VM's network on the host: which ports it publishes, the tap behind a bridge,
 * the helper for egress.
 */
import { createSocket } from "node:dgram";
import { statSync } from "node:fs";
import { createServer } from "node:net";
import { BlixardError } from "#model/errors.ts";
import type { PublishedPort, VmNetwork } from "#model/vm.ts";
import { findTool, type FindToolOptions } from "#process/find-tool.ts";
import { runCommand } from "#process/run.ts";
import type { GuestUser } from "./confinement.ts";
import type { QemuNetwork } from "./qemu-arguments.ts";
import { vmDigest } from "./vm-directory.ts";

export interface VmNetworkPlan {
  readonly network: QemuNetwork | undefined;
  /** With the ports that were chosen. */
  readonly publishedPorts: readonly PublishedPort[];
  /** The helper's command line. */
  readonly companion: readonly string[] | undefined;
  /** To be removed when the VM has ended. */
  readonly tapName: string | undefined;
  /** QEMU itself opens ports or interfaces of the host. */
  readonly needsHostNetwork: boolean;
}

export interface EnsureNetworkOptions {
  readonly vmId: string;
  readonly spec: VmNetwork;
  readonly tools: FindToolOptions;
  readonly isRoot: boolean;
  readonly user: GuestUser | undefined;
}

// What slirp gives guests, so that a guest finds the same addresses with and without egress.
const GUEST_ADDRESS = "10.0.2.15";
const GATEWAY_ADDRESS = "10.0.2.2";
const NAME_SERVER_ADDRESS = "10.0.2.3";
const TUN_DEVICE = "/dev/net/tun";
const IP_TIMEOUT_MS = 10_000;

const none = { companion: undefined, tapName: undefined, publishedPorts: [] };

/** @throws BlixardError PORT_TAKEN, TOOL_MISSING, HYPERVISOR_FAILED when there is no such bridge */
export async function ensureNetwork(options: EnsureNetworkOptions): Promise<VmNetworkPlan> {
  const { vmId, spec } = options;
  switch (spec.kind) {
    case "none":
      return { ...none, network: undefined, needsHostNetwork: false };
    case "user": {
      const macAddress = deriveMacAddress(vmId);
      const publishedPorts = await choosePorts(spec.ports);
      if (spec.egress) {
        const companion = planPasst(findTool("passt", options.tools), publishedPorts, options);
        const network = { kind: "companion", macAddress } as const;
        return { ...none, network, publishedPorts, companion, needsHostNetwork: false };
      }
      const network = { kind: "user", macAddress, forwards: publishedPorts } as const;
      return { ...none, network, publishedPorts, needsHostNetwork: publishedPorts.length > 0 };
    }
    case "bridge": {
      const interfaceName = tapNameOf(vmId);
      await ensureTap(interfaceName, spec.bridge, options);
      const macAddress = spec.macAddress ?? deriveMacAddress(vmId);
      const network = { kind: "tap", macAddress, interfaceName } as const;
      return { ...none, network, tapName: interfaceName, needsHostNetwork: true };
    }
  }
}

/** Locally administered and unicast, of the range that QEMU's guests use, and the same wherever the VM runs. */
export function deriveMacAddress(vmId: string): string {
  const [third = 0, fourth = 0, fifth = 0] = vmDigest(vmId).subarray(8);
  return ["52", "54", "00", ...[third, fourth, fifth].map((byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/** Names of interfaces have at most 15 characters. */
export function tapNameOf(vmId: string): string {
  return `blx${vmDigest(vmId).toString("hex", 16, 22)}`;
}

// --- Published ports

/** Ports that were 0 are chosen; all are seen to be free at this moment. */
async function choosePorts(ports: readonly PublishedPort[]): Promise<readonly PublishedPort[]> {
  // Held together until all are known, so that no port is chosen twice.
  const results = await Promise.allSettled(ports.map(holdPort));
  const held = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  await Promise.all(held.map((port) => port.release()));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return held.map(({ port }) => port);
}

interface HeldPort {
  readonly port: PublishedPort;
  release(): Promise<void>;
}

async function holdPort(wanted: PublishedPort): Promise<HeldPort> {
  try {
    const { port, release } = await (wanted.protocol === "tcp" ? holdTcpPort(wanted) : holdUdpPort(wanted));
    return { port: { ...wanted, hostPort: port }, release };
  } catch (cause) {
    throw portTaken([wanted], cause);
  }
}

export function portTaken(ports: readonly PublishedPort[], cause: unknown): BlixardError {
  const names = ports.map((port) => `${port.hostAddress}:${port.hostPort}/${port.protocol}`).join(", ");
  return new BlixardError("PORT_TAKEN", `cannot publish ${names} on this host`, {
    cause,
    field: "spec.network.user.ports",
    hint: "choose another host port, or 0 to let the node choose; ports below 1024 may need more rights than guests have",
  });
}

function holdTcpPort(wanted: PublishedPort): Promise<{ port: number; release: () => Promise<void> }> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(wanted.hostPort, wanted.hostAddress, () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : wanted.hostPort;
      resolve({ port, release: () => new Promise((released) => server.close(() => released())) });
    });
  });
}

function holdUdpPort(wanted: PublishedPort): Promise<{ port: number; release: () => Promise<void> }> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    socket.once("error", reject);
    socket.bind(wanted.hostPort, wanted.hostAddress, () => {
      const { port } = socket.address();
      resolve({ port, release: () => new Promise((released) => socket.close(() => released())) });
    });
  });
}

// --- Egress

/** Descriptor 3 is QEMU's end of the wire. It drops its own rights, and ends with the wire. */
function planPasst(
  passt: string,
  ports: readonly PublishedPort[],
  { isRoot, user }: EnsureNetworkOptions,
): readonly string[] {
  return [
    passt,
    "--foreground",
    "--quiet",
    "--fd=3",
    "--ipv4-only",
    // Closes the host's loopback, which the gateway's address stands for otherwise.
    "--no-map-gw",
    `--address=${GUEST_ADDRESS}`,
    "--netmask=24",
    `--gateway=${GATEWAY_ADDRESS}`,
    `--dns-forward=${NAME_SERVER_ADDRESS}`,
    ...(isRoot && user !== undefined ? ["--runas", `${user.uid}:${user.gid}`] : []),
    ...ports.flatMap((port) => [
      port.protocol === "tcp" ? "--tcp-ports" : "--udp-ports",
      `${port.hostAddress}/${port.hostPort}:${port.guestPort}`,
    ]),
  ];
}

// --- Bridges

async function ensureTap(name: string, bridge: string, options: EnsureNetworkOptions): Promise<void> {
  if (!options.isRoot) {
    throw new BlixardError("HYPERVISOR_FAILED", "only root may attach guests to a bridge", {
      hint: "run the node as root, or use the user network",
    });
  }
  requireOpenTunDevice();
  const owner = options.user === undefined ? "" : ` user ${options.user.uid}`;
  const commands = [
    `tuntap add dev ${name} mode tap${owner}`,
    `link set dev ${name} master ${bridge}`,
    `link set dev ${name} up`,
  ];
  // One that an earlier start has left would have another owner's or another bridge's settings.
  await removeTap(name, options.tools);
  const { code, stderr } = await runIp(options.tools, `${commands.join("\n")}\n`);
  if (code === 0) return;
  await removeTap(name, options.tools);
  const isMissing = /master|does not exist|Cannot find device/.test(stderr);
  throw new BlixardError(
    "HYPERVISOR_FAILED",
    isMissing ? `there is no bridge ${bridge} on this host` : `cannot attach to bridge ${bridge}: ${stderr.trim()}`,
    { hint: `make it with \`ip link add ${bridge} type bridge\`, or use another network` },
  );
}

/** Guests run as users of their own, who may use only the taps that are theirs, but must be able to ask for them. */
function requireOpenTunDevice(): void {
  const mode = statSync(TUN_DEVICE, { throwIfNoEntry: false })?.mode;
  if (mode !== undefined && (mode & 0o006) === 0o006) return;
  throw new BlixardError("HYPERVISOR_FAILED", `guests cannot open ${TUN_DEVICE}, which a bridge needs`, {
    hint: mode === undefined ? "load it with `modprobe tun`" : `open it as udev does: \`chmod 0666 ${TUN_DEVICE}\``,
  });
}

/** Idempotent. */
export async function removeTap(name: string, tools: FindToolOptions): Promise<void> {
  await runIp(tools, `link delete dev ${name}\n`);
}

async function runIp(tools: FindToolOptions, input: string): Promise<{ code: number | undefined; stderr: string }> {
  const command = findTool("ip", tools);
  return runCommand({ command, args: ["-batch", "-"], input, timeoutMs: IP_TIMEOUT_MS });
}
