import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findCacheDir } from "#process/find-tool.ts";
import { coversUids, createConfinement, parsePasswd } from "./confinement.ts";

const tools = { path: "/usr/bin:/bin:/usr/sbin:/sbin", cacheDir: findCacheDir(process.env) };

describe("the confinement of guests", () => {
  it("gives each VM a user of its own, always the same", () => {
    const confinement = createConfinement({ tools, isRoot: true, user: undefined });
    const [one, other] = [confinement.userOf("vm-1"), confinement.userOf("vm-2")];
    assert.ok(one !== undefined && other !== undefined);
    assert.deepEqual(confinement.userOf("vm-1"), one);
    assert.ok(one.uid !== 0 && one.gid !== 0);
    // Only where the user namespace knows enough ids.
    if (one.uid !== 65_534) assert.notEqual(one.uid, other.uid);
  });

  it("takes rights before QEMU starts, and the death signal after the user has changed", () => {
    const wrapper = createConfinement({ tools, isRoot: true, user: undefined }).wrapperFor("vm-1", {
      needsHostNetwork: false,
    });
    const line = wrapper.join(" ");
    assert.match(
      line,
      /--net -- \S*setpriv --reuid=\d+ .*--no-new-privs --bounding-set=-all .*--pdeathsig=KILL -- \S*nice/,
    );
    const open = createConfinement({ tools, isRoot: true, user: undefined });
    assert.doesNotMatch(open.wrapperFor("vm-1", { needsHostNetwork: true }).join(" "), /--net/);
  });

  it("does what it can without root", () => {
    const confinement = createConfinement({ tools, isRoot: false, user: undefined });
    assert.equal(confinement.userOf("vm-1"), undefined);
    assert.match(
      confinement.wrapperFor("vm-1", { needsHostNetwork: false }).join(" "),
      /setpriv --no-new-privs -- \S*nice/,
    );
  });

  it("runs guests as the configured user, but never as root or as nobody known", () => {
    const confinement = createConfinement({ tools, isRoot: true, user: "nobody" });
    assert.deepEqual(confinement.userOf("vm-1"), confinement.userOf("vm-2"));
    for (const user of ["root", "no-such-user"]) {
      assert.throws(() => createConfinement({ tools, isRoot: true, user }), { code: "CONFIG_INVALID" });
    }
  });

  it("reads /etc/passwd and the map of user ids", () => {
    assert.deepEqual(parsePasswd("root:x:0:0::/:\nann:x:1000:100:A:/home/ann:/bin/sh\n", "ann"), {
      uid: 1000,
      gid: 100,
    });
    assert.equal(parsePasswd("ann:x:1000:100:A:/:\n", "an"), undefined);
    assert.equal(coversUids("         0          0 4294967295\n"), true);
    assert.equal(coversUids("         0     100000      65536\n"), false);
    assert.equal(coversUids(""), false);
  });
});
