import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseQemuVersion } from "./qemu-version.ts";

describe("QEMU's version", () => {
  it("is read from what it says of itself", () => {
    assert.equal(parseQemuVersion("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\n"), "7.2.22");
    assert.equal(parseQemuVersion("QEMU emulator version 10.0\n"), "10.0");
  });

  it("must be new enough", () => {
    assert.throws(() => parseQemuVersion("QEMU emulator version 6.2.0"), { code: "TOOL_TOO_OLD" });
    assert.throws(() => parseQemuVersion("QEMU emulator version 7.1.9"), { code: "TOOL_TOO_OLD" });
    assert.throws(() => parseQemuVersion("something else"), { code: "INTERNAL" });
  });
});
