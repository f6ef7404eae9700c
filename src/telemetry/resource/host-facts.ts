/** What this machine and this process are, read once at start. */
import { readFileSync } from "node:fs";
import { arch, hostname, release, userInfo, version } from "node:os";
import { basename } from "node:path";

export interface HostFacts {
  readonly hostName: string;
  /** `/etc/machine-id`; absent in most containers. */
  readonly hostId: string | undefined;
  /** Node's name of the architecture (`x64`). */
  readonly architecture: string;
  readonly osRelease: string;
  readonly osVersion: string;
  /** PRETTY_NAME of os-release. */
  readonly osDescription: string | undefined;
  readonly processId: number;
  readonly parentProcessId: number;
  readonly executablePath: string;
  readonly executableName: string;
  /** The script; never the arguments, which may hold anything. */
  readonly command: string | undefined;
  readonly owner: string | undefined;
  readonly runtimeVersion: string;
}

export function readHostFacts(): HostFacts {
  return {
    hostName: hostname(),
    hostId: firstLine(readText("/etc/machine-id")),
    architecture: arch(),
    osRelease: release(),
    osVersion: version(),
    osDescription: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readText("/etc/os-release") ?? "")?.[1],
    processId: process.pid,
    parentProcessId: process.ppid,
    executablePath: process.execPath,
    executableName: basename(process.execPath),
    command: process.argv[1],
    owner: ownerName(),
    runtimeVersion: process.versions.node,
  };
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
