import assert from "node:assert/strict";
import { test } from "node:test";
import { causeChain } from "#model/errors.ts";
import { diagnoseMemberEnd, isWorthRestarting } from "./etcd-failure.ts";

const exitOne = { code: 1, signal: undefined };

function codeOf(line: string, exit: Parameters<typeof diagnoseMemberEnd>[0] = exitOne): string {
  const end = diagnoseMemberEnd(exit, ['{"level":"info","msg":"starting an etcd server"}', line], "/data");
  return end.kind === "removed" ? "removed" : end.error.code;
}

test("what etcd says when it ends becomes an error that says what to do", () => {
  const lines = {
    DISK_FULL: [
      '{"level":"fatal","msg":"failed to create WAL","error":"write /data/wal/0.tmp: no space left on device"}',
      "panic: write /data/member/snap/db: no space left on device",
    ],
    TOOL_TOO_OLD: [
      '{"level":"fatal","msg":"invalid downgrade; server version is lower than determined cluster version"}',
      '{"level":"fatal","msg":"cluster cannot be downgraded (current version: 3.4.23 is lower than determined cluster version: 3.5)."}',
      String.raw`{"level":"fatal","msg":"discovery failed","error":"version \"3.7.0\" is not supported"}`,
    ],
    DATA_DIRECTORY_UNUSABLE: [
      '{"level":"fatal","msg":"discovery failed","error":"open /data/member/snap/db: permission denied"}',
    ],
    DATA_DIRECTORY_CORRUPT: [
      '{"level":"fatal","msg":"discovery failed","error":"walpb: crc mismatch"}',
      '{"level":"fatal","msg":"discovery failed","error":"wal: max entry size limit exceeded"}',
      "panic: failed to open database",
      "fatal error: fault",
    ],
    STORE_UNAVAILABLE: ['{"level":"fatal","msg":"something new"}', "Killed"],
  };
  for (const [code, texts] of Object.entries(lines)) {
    for (const text of texts) assert.equal(codeOf(text), code, text);
  }
});

test("a member that was removed from its cluster ends with 0 and says so", () => {
  const line = '{"level":"warn","msg":"the member has been permanently removed from the cluster"}';
  assert.equal(codeOf(line, { code: 0, signal: undefined }), "removed");
  assert.equal(codeOf("", { code: 0, signal: undefined }), "STORE_UNAVAILABLE");
});

test("the error carries the lines that matter, not the frames of a stack trace", () => {
  const trace = Array.from({ length: 100 }, (_, index) => `\tgo.etcd.io/etcd/frame.go:${index}`);
  const end = diagnoseMemberEnd(
    exitOne,
    ["panic: failed to open database", "goroutine 1 [running]:", ...trace],
    "/data",
  );
  assert.equal(end.kind, "failed");
  if (end.kind !== "failed") return;
  const text = causeChain(end.error).join("\n");
  assert.match(text, /panic: failed to open database/);
  assert.doesNotMatch(text, /frame\.go/);
});

test("only what may pass by itself is worth another start", () => {
  const worth = (line: string): boolean => {
    const end = diagnoseMemberEnd(exitOne, [line], "/data");
    return end.kind === "failed" && isWorthRestarting(end.error);
  };
  assert.equal(worth("Killed"), true);
  assert.equal(worth("no space left on device"), true);
  assert.equal(worth("walpb: crc mismatch"), false);
  assert.equal(worth("permission denied"), false);
});
