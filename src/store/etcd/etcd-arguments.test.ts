import assert from "node:assert/strict";
import { test } from "node:test";
import { planElectionTimers } from "./disk-probe.ts";
import { type EtcdArgumentsOptions, planEtcdArguments, planEtcdEnvironment } from "./etcd-arguments.ts";
import { formatEtcdVersion, isOlderMinor, parseEtcdVersion } from "./etcd-version.ts";

function argumentsFor(version: string, overrides: Partial<EtcdArgumentsOptions> = {}): string[] {
  const parsed = parseEtcdVersion(version);
  assert.ok(parsed !== undefined);
  return planEtcdArguments({
    version: parsed,
    memberName: "blixard-1",
    dataDir: "/data/etcd/data",
    electionTimers: "fast",
    quotaBytes: 1024,
    compactionRetentionMs: 600_000,
    ...overrides,
  });
}

test("a member listens on unix sockets and on nothing else, in every version", () => {
  for (const version of ["3.4.23", "3.5.30", "3.6.14", "3.7.0"]) {
    const urls = argumentsFor(version).filter((argument) => argument.includes("://"));
    assert.ok(urls.length >= 4);
    assert.ok(
      urls.every((argument) => /=unix:\/\/localhost:\d+$/.test(argument)),
      urls.join(),
    );
  }
});

test("no version gets an argument that it does not know", () => {
  const tracing = { address: "127.0.0.1:4317", serviceName: "etcd" };
  const names = (version: string): string[] =>
    argumentsFor(version, { tracing }).map((argument) => argument.split("=")[0] ?? "");
  assert.ok(names("3.4.23").includes("--logger"));
  assert.ok(!names("3.4.23").some((name) => name.includes("tracing")));
  assert.ok(!names("3.5.16").includes("--logger"));
  assert.ok(names("3.5.16").includes("--experimental-enable-distributed-tracing"));
  for (const version of ["3.6.14", "3.7.1"]) {
    assert.ok(names(version).includes("--enable-distributed-tracing"));
    assert.ok(!names(version).some((name) => name.startsWith("--experimental")), version);
  }
});

test("a slow disk gets five times as long for an election", () => {
  assert.ok(argumentsFor("3.5.30").includes("--election-timeout=1000"));
  const slow = argumentsFor("3.5.30", { electionTimers: "slow" });
  assert.ok(slow.includes("--election-timeout=5000"));
  assert.ok(slow.includes("--heartbeat-interval=500"));
});

test("a member that is alone leads again soon after a start, whatever its disk", () => {
  const [fastDisk, slowDisk] = [
    [0.2, 0.3],
    [1, 35],
  ];
  assert.deepEqual(
    [1, 3].map((members) => planElectionTimers(fastDisk ?? [], members)),
    ["alone", "fast"],
  );
  assert.deepEqual(
    [1, 3].map((members) => planElectionTimers(slowDisk ?? [], members)),
    ["alone", "slow"],
  );
  assert.ok(argumentsFor("3.5.30", { electionTimers: "alone" }).includes("--election-timeout=200"));
});

test("3.4 on arm64 is told that it may run", () => {
  assert.deepEqual(planEtcdEnvironment({ major: 3, minor: 4, patch: 1 }, "arm64"), { ETCD_UNSUPPORTED_ARCH: "arm64" });
  assert.deepEqual(planEtcdEnvironment({ major: 3, minor: 5, patch: 1 }, "arm64"), {});
  assert.deepEqual(planEtcdEnvironment({ major: 3, minor: 4, patch: 1 }, "x64"), {});
});

test("versions are read from whatever etcd says around them", () => {
  const read = (text: string): string | undefined => {
    const version = parseEtcdVersion(text);
    return version === undefined ? undefined : formatEtcdVersion(version);
  };
  assert.equal(read("etcd Version: 3.4.23\nGit SHA: Not provided\nGo Version: go1.19.8\n"), "3.4.23");
  assert.equal(read("3.6.0-rc.2"), "3.6.0");
  assert.equal(read("v3.5.9"), "3.5.9");
  assert.equal(read("usage: something else"), undefined);
});

test("only major and minor decide whether a version is older", () => {
  const older = (left: string, right: string): boolean => {
    const [a, b] = [parseEtcdVersion(left), parseEtcdVersion(right)];
    assert.ok(a !== undefined && b !== undefined);
    return isOlderMinor(a, b);
  };
  assert.equal(older("3.4.99", "3.5.0"), true);
  assert.equal(older("3.5.0", "3.5.9"), false);
  assert.equal(older("3.10.0", "3.9.0"), false);
  assert.equal(older("4.0.0", "3.9.0"), false);
});
