import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDependencies, parseUris } from "./apt-download.mjs";

test("dependencies are named: plain, pre-dependencies, alternatives, and who provides a virtual one", () => {
  const listing = `python3-prometheus-client
  PreDepends: init-system-helpers
  Depends: python3-decorator
 |Depends: initramfs-tools
  Depends: <python3:any>
    python3
  Depends: libc6:any
  Conflicts: busybox
  Suggests: apparmor
`;
  assert.deepEqual(parseDependencies(listing), [
    "init-system-helpers",
    "python3-decorator",
    "initramfs-tools",
    "python3",
    "libc6",
  ]);
});

test("the files of a download and their digests are taken from its list of addresses", () => {
  const digest = "0123456789abcdef".repeat(4);
  const listing = `'http://mirror.example/pool/e/etcd/etcd-server_3.4.23-4%2bb4_amd64.deb' etcd-server_3.4.23-4+b4_amd64.deb 8438488 SHA256:${digest}
'http://mirror.example/pool/b/busybox_1_amd64.deb' busybox-static_1%3a1.35.0_amd64.deb 928188 MD5Sum:${digest.slice(0, 32)}
`;
  assert.deepEqual(parseUris(listing), [{ name: "etcd-server_3.4.23-4+b4_amd64.deb", sha256: digest }]);
});
