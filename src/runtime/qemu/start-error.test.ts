import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { causeChain, type ErrorCode } from "#model/errors.ts";
import { planStartError } from "./start-error.ts";

describe("a hypervisor that ends at its start", () => {
  const cases: readonly [string, ErrorCode][] = [
    ["qemu: -netdev user: Could not set up host forwarding rule 'tcp:127.0.0.1:80-:80'", "PORT_TAKEN"],
    ["Failed to bind port 80 (Address already in use) for option '-t 80'", "PORT_TAKEN"],
    ["qemu: Could not open 'disk': No space left on device", "DISK_FULL"],
    ["qemu: cannot set up guest memory 'pc.ram': Cannot allocate memory", "HYPERVISOR_FAILED"],
    ["qemu: something new", "HYPERVISOR_FAILED"],
  ];
  for (const [words, code] of cases) {
    it(`gives ${code} for: ${words}`, () => {
      const exit = { cause: "crash", exitCode: 1, signal: undefined, timeMs: 0, detail: words } as const;
      const error = planStartError(exit, []);
      assert.equal(error.code, code);
      assert.ok(error.hint);
      assert.ok(causeChain(error).includes(words), "with its own words");
    });
  }
});
