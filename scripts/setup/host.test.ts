import assert from "node:assert/strict";
import { test } from "node:test";
import { explainForeignHost } from "./host.mjs";

const DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n';
const UBUNTU = 'PRETTY_NAME="Ubuntu 26.04 LTS"\nID=ubuntu\nID_LIKE=debian\n';

test("Debian on x86-64 needs no explanation", () => {
  assert.equal(explainForeignHost(DEBIAN, "x64"), undefined);
});

test("elsewhere every tool is named that must be installed by hand", () => {
  for (const [osRelease, architecture, name] of [
    [UBUNTU, "x64", "Ubuntu 26.04 LTS"],
    [DEBIAN, "arm64", "Debian GNU/Linux 12 (bookworm) (arm64)"],
    ["", "x64", "another system"],
  ] as const) {
    const text = explainForeignHost(osRelease, architecture) ?? "";
    assert.ok(text.includes(name), text);
    for (const tool of ["qemu-system-x86_64", "etcd", "busybox", "prometheus", "passt", "python3", "kernel/vmlinux"]) {
      assert.ok(text.includes(tool), tool);
    }
  }
});
