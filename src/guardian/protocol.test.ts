import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BlixardError } from "#model/errors.ts";
import { encodeFrameHeader, type GuestCommand, parseRequest, readFrames } from "./protocol.ts";

const guest: GuestCommand = {
  vmId: "vm-1",
  instanceId: "i-1",
  argv: ["/bin/true", "x"],
  workingDir: "/",
  logDir: "/tmp",
  channels: ["qmp"],
  companions: [{ argv: ["/bin/cat"] }],
  files: ["/dev/null"],
  fenced: true,
  metadata: { any: ["thing"] },
};

describe("a request to the guardian", () => {
  it("comes out as it went in", () => {
    const line = JSON.stringify({ id: 7, op: "spawn", guest });
    assert.deepEqual(parseRequest(line), { id: 7, request: { op: "spawn", guest } });
  });

  it("is refused with a code when it is unknown or malformed", () => {
    const wrong: readonly [unknown, string][] = [
      [{ id: 1, op: "dance" }, "UNIMPLEMENTED"],
      [{ op: "list" }, "INVALID_ARGUMENT"],
      [{ id: 1, op: "kill", instanceId: "../x", graceMs: 0 }, "INVALID_ARGUMENT"],
      [{ id: 1, op: "spawn", guest: { ...guest, argv: ["relative"] } }, "INVALID_ARGUMENT"],
      [{ id: 1, op: "spawn", guest: { ...guest, argv: [] } }, "INVALID_ARGUMENT"],
      [{ id: 1, op: "spawn", guest: { ...guest, metadata: "x".repeat(40_000) } }, "INVALID_ARGUMENT"],
      [{ id: 1, op: "fence", deadlineUptimeSeconds: -1 }, "INVALID_ARGUMENT"],
    ];
    for (const [value, code] of wrong) assert.throws(() => parseRequest(JSON.stringify(value)), { code });
  });

  it("never fails otherwise than with an error of the table", () => {
    const operation = fc.constantFrom("hello", "list", "spawn", "kill", "fence", "open-serial", "open-channel", "x");
    const request = fc.record({ id: fc.integer(), op: operation, guest: fc.object(), instanceId: fc.anything() });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          request.map((value) => JSON.stringify(value)),
        ),
        (line) => {
          try {
            parseRequest(line);
          } catch (error) {
            assert.ok(error instanceof BlixardError, String(error));
          }
        },
      ),
    );
  });
});

describe("serial frames", () => {
  it("come out as they went in, wherever the stream is cut", async () => {
    const frames = fc.array(fc.tuple(fc.maxSafeNat(), fc.uint8Array({ maxLength: 40 })), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(frames, fc.integer({ min: 1, max: 30 }), async (sent, cut) => {
        const bytes = Buffer.concat(
          sent.flatMap(([offset, data]) => [encodeFrameHeader(offset, data.length), Buffer.from(data)]),
        );
        const chunks = Array.from({ length: Math.ceil(bytes.length / cut) }, (_, index) =>
          bytes.subarray(index * cut, (index + 1) * cut),
        );
        const received = await Array.fromAsync(readFrames(ReadableStream.from(chunks)));
        assert.deepEqual(
          received.map((frame) => [frame.offset, new Uint8Array(frame.data)]),
          sent.map(([offset, data]) => [offset, new Uint8Array(data)]),
        );
      }),
      { numRuns: 50 },
    );
  });
});
