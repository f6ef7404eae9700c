/**
 * Which container this process runs in, from what the kernel says of it. Pure: the
 * texts of `/proc/self/cgroup` and `/proc/self/mountinfo` in, facts out.
 *
 * A process with cgroups v1, or v2 in the host's namespace, has its container's id in
 * its cgroup's path. With v2 in a namespace of its own the path is `/`, and only the
 * files that the container's runtime mounts still name it.
 */

export interface ContainerSigns {
  readonly cgroup: string | undefined;
  readonly mountInfo: string | undefined;
  /** `/.dockerenv` is there. */
  readonly dockerFile: boolean;
  /** `/run/.containerenv` is there. */
  readonly podmanFile: boolean;
}

export interface ContainerFacts {
  readonly id?: string;
  /** `docker`, `podman`, `containerd`, `cri-o`. */
  readonly runtime?: string;
  /** Of the Kubernetes pod, as the cgroup's path names it. */
  readonly podUid?: string;
}

/** 64 hex digits, or what Amazon's ECS on Fargate gives: 32 and a number. */
const ID = "([0-9a-f]{64}|[0-9a-f]{32}-\\d{1,20})";
/** A part of a cgroup's path: `<id>`, `docker-<id>.scope`, `cri-containerd:<id>`. */
const CGROUP_PART = new RegExp(`^(?:([a-z][a-z-]*)[-:])?${ID}(?:\\.scope)?$`);
/** In the root of a mount: `/var/lib/docker/containers/<id>/hostname`. */
const MOUNT_ROOT = new RegExp(
  `/(?:containers|overlay-containers)/${ID}/(?:userdata/)?(?:hostname|hosts|resolv\\.conf)$`,
);
const MOUNTED_FILES = new Set(["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]);
/** `pod275ecb36-…` or, where systemd makes the slice, `kubepods-burstable-pod275ecb36_….slice`. */
const POD = /(?:^|-)pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})(?:\.slice)?$/;
const RUNTIMES: Readonly<Record<string, string>> = {
  docker: "docker",
  libpod: "podman",
  crio: "cri-o",
  containerd: "containerd",
  "cri-containerd": "containerd",
};
const MAXIMUM_LINES = 4_096;

export function detectContainer({ cgroup, mountInfo, dockerFile, podmanFile }: ContainerSigns): ContainerFacts {
  const fromCgroup = readCgroup(cgroup ?? "");
  const fromMounts = readMounts(mountInfo ?? "");
  const id = fromCgroup.id ?? fromMounts.id;
  const marked = podmanFile ? "podman" : dockerFile ? "docker" : undefined;
  const runtime = fromCgroup.runtime ?? fromMounts.runtime ?? marked;
  const { podUid } = fromCgroup;
  return {
    ...(id === undefined ? {} : { id }),
    ...(runtime === undefined ? {} : { runtime }),
    ...(podUid === undefined ? {} : { podUid }),
  };
}

function readCgroup(text: string): ContainerFacts {
  for (const line of linesOf(text)) {
    // `hierarchy:controllers:path`; the path may have colons.
    const parts = line.split(":").slice(2).join(":").split("/");
    const index = parts.findLastIndex((part) => CGROUP_PART.test(part));
    if (index < 0) continue;
    const [, prefix, id] = CGROUP_PART.exec(parts[index] ?? "") ?? [];
    const runtime = RUNTIMES[prefix ?? parts[index - 1] ?? ""];
    const podUid = parts.map((part) => POD.exec(part)?.[1]).find((uid) => uid !== undefined);
    return {
      ...(id === undefined ? {} : { id }),
      ...(runtime === undefined ? {} : { runtime }),
      ...(podUid === undefined ? {} : { podUid: podUid.replaceAll("_", "-") }),
    };
  }
  return {};
}

/** A host has its containers' mounts too: only what is mounted over a file that every container gets is our own. */
function readMounts(text: string): ContainerFacts {
  for (const line of linesOf(text)) {
    const [, , , root = "", mountPoint = ""] = line.split(" ");
    if (!MOUNTED_FILES.has(mountPoint)) continue;
    const id = MOUNT_ROOT.exec(root)?.[1];
    if (id === undefined) continue;
    return { id, runtime: root.includes("overlay-containers") ? "podman" : "docker" };
  }
  return {};
}

function linesOf(text: string): string[] {
  return text.split("\n", MAXIMUM_LINES);
}
