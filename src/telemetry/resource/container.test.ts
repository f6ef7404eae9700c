import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ContainerFacts, detectContainer } from "./container.ts";

const id = "a3bf90e006b2c1d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c";
const uid = "275ecb36-5aa8-4c2a-9c47-d8bb681b9aff";
const none = { cgroup: undefined, mountInfo: undefined, dockerFile: false, podmanFile: false };

describe("the container's id", () => {
  const cgroups: readonly [where: string, cgroup: string, facts: ContainerFacts][] = [
    ["Docker, cgroups v1", `12:memory:/docker/${id}\n11:cpu,cpuacct:/docker/${id}`, { id, runtime: "docker" }],
    ["Docker under systemd", `0::/system.slice/docker-${id}.scope`, { id, runtime: "docker" }],
    ["Podman", `0::/machine.slice/libpod-${id}.scope/container`, { id, runtime: "podman" }],
    ["Kubernetes with containerd, v1", `7:pids:/kubepods/burstable/pod${uid}/${id}`, { id, podUid: uid }],
    [
      "Kubernetes with containerd under systemd",
      `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid.replaceAll("-", "_")}.slice/cri-containerd-${id}.scope`,
      { id, runtime: "containerd", podUid: uid },
    ],
    [
      "Kubernetes with CRI-O",
      `1:name=systemd:/kubepods.slice/kubepods-pod${uid.replaceAll("-", "_")}.slice/crio-${id}.scope`,
      { id, runtime: "cri-o", podUid: uid },
    ],
    [
      "containerd with colons in its path",
      `0::/system.slice/containerd.service/kubepods-besteffort:cri-containerd:${id}`,
      {},
    ],
    [
      "ECS on Fargate",
      `5:cpu:/ecs/${id.slice(0, 32)}/${id.slice(0, 32)}-3456789012`,
      { id: `${id.slice(0, 32)}-3456789012` },
    ],
    ["a service of systemd's: none", "0::/system.slice/blixard.service", {}],
    ["the root of a namespace: none", "0::/", {}],
    ["no line of the form: none", "garbage\n\n::::\n", {}],
  ];
  for (const [where, cgroup, facts] of cgroups) {
    test(where, () => assert.deepEqual(detectContainer({ ...none, cgroup }), facts));
  }

  const mount = (root: string, point: string): string =>
    `1054 1038 254:1 ${root} ${point} rw,relatime - ext4 /dev/vda1 rw`;
  const mounts: readonly [where: string, mountInfo: string, facts: ContainerFacts][] = [
    [
      "Docker, cgroups v2 in a namespace",
      mount(`/var/lib/docker/containers/${id}/hostname`, "/etc/hostname"),
      { id, runtime: "docker" },
    ],
    [
      "Podman, cgroups v2 in a namespace",
      mount(`/containers/storage/overlay-containers/${id}/userdata/hosts`, "/etc/hosts"),
      { id, runtime: "podman" },
    ],
    ["a host that has containers: none", mount(`/var/lib/docker/containers/${id}/hostname`, "/mnt/x"), {}],
    [
      "a pod's sandbox is not its container",
      mount(`/io.containerd.grpc.v1.cri/sandboxes/${id}/hostname`, "/etc/hostname"),
      {},
    ],
  ];
  for (const [where, mountInfo, facts] of mounts) {
    test(where, () => assert.deepEqual(detectContainer({ ...none, cgroup: "0::/", mountInfo }), facts));
  }

  test("marks tell the runtime where nothing else does", () => {
    assert.deepEqual(detectContainer({ ...none, dockerFile: true }), { runtime: "docker" });
    assert.deepEqual(detectContainer({ ...none, podmanFile: true }), { runtime: "podman" });
    assert.deepEqual(detectContainer(none), {});
  });
});
