import assert from "node:assert/strict";
import { test } from "node:test";
import { findCacheDir, findTool } from "#process/find-tool.ts";
import { kvmProbeCode } from "#runtime/qemu/kvm-probe-rom.ts";
import { assembleProbe } from "./build.ts";

const missing = ["as", "ld"].filter((name) => !isInstalled(name));
const skip = missing.length > 0 && `not installed: ${missing.join(", ")}`;

test("the probe guest that a node carries is the one of probe.S", { skip }, async () => {
  assert.equal((await assembleProbe()).toString("base64"), kvmProbeCode);
});

function isInstalled(name: string): boolean {
  try {
    findTool(name, { path: process.env["PATH"] ?? "", cacheDir: findCacheDir(process.env) });
    return true;
  } catch {
    return false;
  }
}
