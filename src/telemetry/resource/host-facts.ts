/** What this machine and this process are, read once at start: from files, nothing over a network. */
import { existsSync, readFileSync } from "node:fs";
import { arch, hostname, release, userInfo, version } from "node:os";
import { basename, join } from "node:path";
import type { MachineIdentity } from "./cloud.ts";
import type { ContainerSigns } from "./container.ts";

export interface HostFacts {
  readonly hostName: string;
  /** `/etc/machine-id`; absent in most containers. */
  readonly hostId: string | undefined;
  /** Node's name of the architecture (`x64`). */
  readonly architecture: string;
  readonly osRelease: string;
  readonly osVersion: string;
  /** ID of os-release: `debian`. */
  readonly osName: string | undefined;
  /** PRETTY_NAME of os-release. */
  readonly osDescription: string | undefined;
  readonly processId: number;
  readonly parentProcessId: number;
  /** Unix time in ms. */
  readonly processStartMs: number;
  readonly executablePath: string;
  readonly executableName: string;
  /** The script; never the arguments, which may hold anything. */
  readonly command: string | undefined;
  readonly owner: string | undefined;
  readonly runtimeVersion: string;
  readonly machine: MachineIdentity;
  readonly container: ContainerSigns;
  /** Of the service account that Kubernetes mounts. */
  readonly kubernetesNamespace: string | undefined;
}

const MACHINE_FILES = "/sys/class/dmi/id";
const NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

export function readHostFacts(): HostFacts {
  const osRelease = readText("/etc/os-release") ?? "";
  return {
    hostName: hostname(),
    hostId: firstLine(readText("/etc/machine-id")),
    architecture: arch(),
    osRelease: release(),
    osVersion: version(),
    osName: /^ID="?([^"\n]*)"?$/m.exec(osRelease)?.[1],
    osDescription: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1],
    processId: process.pid,
    parentProcessId: process.ppid,
    processStartMs: performance.timeOrigin,
    executablePath: process.execPath,
    executableName: basename(process.execPath),
    command: process.argv[1],
    owner: ownerName(),
    runtimeVersion: process.versions.node,
    machine: {
      vendor: readMachine("sys_vendor"),
      product: readMachine("product_name"),
      biosVersion: readMachine("bios_version"),
      chassisAssetTag: readMachine("chassis_asset_tag"),
      boardAssetTag: readMachine("board_asset_tag"),
    },
    container: {
      cgroup: readText("/proc/self/cgroup"),
      mountInfo: readText("/proc/self/mountinfo"),
      dockerFile: existsSync("/.dockerenv"),
      podmanFile: existsSync("/run/.containerenv"),
    },
    kubernetesNamespace: firstLine(readText(NAMESPACE_FILE)),
  };
}

function readMachine(name: string): string | undefined {
  return firstLine(readText(join(MACHINE_FILES, name)));
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function firstLine(text: string | undefined): string | undefined {
  const line = text?.split("\n", 1)[0]?.trim();
  return line === "" ? undefined : line;
}

function ownerName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined; // A uid without an entry in passwd.
  }
}
