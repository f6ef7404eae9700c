/**
 * What a guest's hypervisor may do on the host: as little as the node's own
 * rights allow to arrange.
 *
 * As root each VM gets a user of its own, no capabilities, no System V IPC of
 * others and, when it needs none, no network. All of it is a chain of exec, so
 * the guardian's child is QEMU itself. There is no pid namespace for that
 * reason: a process in between would have to be found and killed too, and with
 * its own user QEMU can signal nobody anyway. Changing the user clears the
 * parent-death signal, so it is set after that.
 */
import { readFileSync, statSync } from "node:fs";
import { BlixardError } from "#model/errors.ts";
import { findTool, type FindToolOptions } from "#process/find-tool.ts";
import { vmDigest } from "./vm-directory.ts";

export interface GuestUser {
  readonly uid: number;
  readonly gid: number;
}

export interface Confinement {
  /** The user that owns the VM's disks; undefined: ours. */
  userOf(vmId: string): GuestUser | undefined;
  /** Put before QEMU's command line. */
  wrapperFor(vmId: string, options: { readonly needsHostNetwork: boolean }): readonly string[];
}

export interface ConfinementOptions {
  readonly tools: FindToolOptions;
  readonly isRoot: boolean;
  /** One user for all guests, by name; default: one for each VM. Only as root. */
  readonly user: string | undefined;
}

// systemd's table of user ids (UIDS-GIDS) leaves 0x70000000 to 0x7ffdffff to nobody.
const FIRST_UID = 0x70000000;
const UID_BITS = 24;
const NOBODY: GuestUser = { uid: 65534, gid: 65534 };
// Below the control plane, which answers while guests are busy.
const NICENESS = 5;

/** @throws BlixardError TOOL_MISSING, CONFIG_INVALID when there is no such user */
export function createConfinement(options: ConfinementOptions): Confinement {
  const nice = [findTool("nice", options.tools), "-n", String(NICENESS), "--"];
  const setpriv = findTool("setpriv", options.tools);
  if (!options.isRoot) {
    return { userOf: () => undefined, wrapperFor: () => [setpriv, "--no-new-privs", "--", ...nice] };
  }
  const unshare = findTool("unshare", options.tools);
  const shared = options.user === undefined ? undefined : readUser(options.user);
  const hasOwnUsers = coversUids(readFileSync("/proc/self/uid_map", "utf8"));

  function userOf(vmId: string): GuestUser {
    if (shared !== undefined) return shared;
    if (!hasOwnUsers) return NOBODY;
    const uid = FIRST_UID + vmDigest(vmId).readUIntBE(0, UID_BITS / 8);
    return { uid, gid: uid };
  }

  return {
    userOf,
    wrapperFor(vmId, { needsHostNetwork }) {
      const { uid, gid } = userOf(vmId);
      const kvmGroup = readKvmGroup();
      return [
        unshare,
        "--ipc",
        "--uts",
        ...(needsHostNetwork ? [] : ["--net"]),
        "--",
        setpriv,
        `--reuid=${uid}`,
        `--regid=${gid}`,
        kvmGroup === undefined ? "--clear-groups" : `--groups=${kvmGroup}`,
        "--no-new-privs",
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--pdeathsig=KILL",
        "--",
        ...nice,
      ];
    },
  };
}

/** Whether this user namespace knows all the ids that VMs may get. Lines of: first inside, first outside, how many. */
export function coversUids(uidMap: string): boolean {
  return uidMap.split("\n").some((line) => {
    const [first = Number.NaN, , count = 0] = line.trim().split(/\s+/).map(Number);
    return first <= FIRST_UID && first + count >= FIRST_UID + 2 ** UID_BITS;
  });
}

/** The group that may open /dev/kvm, when it is not root's. */
function readKvmGroup(): number | undefined {
  const found = statSync("/dev/kvm", { throwIfNoEntry: false });
  return found === undefined || found.gid === 0 || (found.mode & 0o060) !== 0o060 ? undefined : found.gid;
}

function readUser(name: string): GuestUser {
  const user = parsePasswd(readFileSync("/etc/passwd", "utf8"), name);
  if (user === undefined || user.uid === 0) {
    throw new BlixardError("CONFIG_INVALID", `runtime.user: guests cannot run as ${JSON.stringify(name)}`, {
      hint: "name a user of this host other than root, or leave it out: each VM then gets one of its own",
    });
  }
  return user;
}

export function parsePasswd(text: string, name: string): GuestUser | undefined {
  const fields = text.split("\n").map((line) => line.split(":"));
  const [, , uid, gid] = fields.find(([user]) => user === name) ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}
