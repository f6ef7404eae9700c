import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BlixardError } from "#model/errors.ts";
import { inspectFile } from "./inspect-file.ts";

function bzImage(): Buffer {
  const start = Buffer.alloc(4096);
  start.writeUInt16LE(0xaa55, 0x1fe);
  start.write("HdrS", 0x202, "latin1");
  return start;
}

function elf({ machine = 62, segment = 4 } = {}): Buffer {
  const start = Buffer.alloc(4096);
  start.write("\x7fELF\x02\x01\x01", 0, "latin1");
  start.writeUInt16LE(2, 16);
  start.writeUInt16LE(machine, 18);
  start.writeBigUInt64LE(64n, 32);
  start.writeUInt16LE(56, 54);
  start.writeUInt16LE(2, 56);
  start.writeUInt32LE(1, 64);
  start.writeUInt32LE(segment, 64 + 56);
  return start;
}

interface Qcow2Fields {
  readonly version?: number;
  readonly backingOffset?: bigint;
  readonly clusterBits?: number;
  readonly virtualBytes?: bigint;
  readonly encryption?: number;
  readonly features?: bigint;
  readonly extension?: number;
}

function qcow2(fields: Qcow2Fields = {}): Buffer {
  const start = Buffer.alloc(65_536);
  start.write("QFI\xfb", 0, "latin1");
  start.writeUInt32BE(fields.version ?? 3, 4);
  start.writeBigUInt64BE(fields.backingOffset ?? 0n, 8);
  start.writeUInt32BE(fields.clusterBits ?? 16, 20);
  start.writeBigUInt64BE(fields.virtualBytes ?? 1n << 30n, 24);
  start.writeUInt32BE(fields.encryption ?? 0, 32);
  start.writeBigUInt64BE(fields.features ?? 0n, 72);
  start.writeUInt32BE(104, 100);
  start.writeUInt32BE(fields.extension ?? 0, 104);
  start.writeUInt32BE(8, 108);
  return start;
}

const isInvalid = (error: unknown): boolean => error instanceof BlixardError && error.code === "IMAGE_INVALID";

function refusal(start: Buffer): string {
  try {
    inspectFile("disk", start);
    return "accepted";
  } catch (error) {
    assert.ok(error instanceof BlixardError && error.code === "IMAGE_INVALID", String(error));
    assert.ok(error.hint !== undefined && error.hint !== "");
    return error.message;
  }
}

test("a bzImage and a PVH vmlinux are kernels", () => {
  assert.deepEqual(inspectFile("kernel", bzImage()), { diskFormat: undefined });
  assert.deepEqual(inspectFile("kernel", elf()), { diskFormat: undefined });
});

test("a file that QEMU could not start as a kernel is refused before it is stored", () => {
  for (const start of [
    Buffer.from("#!/bin/sh\n"),
    Buffer.alloc(0),
    elf({ machine: 183 }),
    elf({ segment: 1 }),
    elf().subarray(0, 20),
  ]) {
    assert.throws(() => inspectFile("kernel", start), isInvalid);
  }
});

test("a disk is raw or qcow2 by its first bytes, whatever its name was", () => {
  assert.deepEqual(inspectFile("disk", Buffer.alloc(1024)), { diskFormat: "raw" });
  assert.deepEqual(inspectFile("disk", qcow2()), { diskFormat: "qcow2" });
  assert.deepEqual(inspectFile("disk", qcow2({ version: 2 }).fill(0, 72, 112)), { diskFormat: "qcow2" });
  assert.deepEqual(inspectFile("disk", qcow2({ features: 0b11000n })), { diskFormat: "qcow2" });
});

test("a qcow2 disk that names another file of the host is refused", () => {
  assert.match(refusal(qcow2({ backingOffset: 512n })), /backing file/);
  assert.match(refusal(qcow2({ version: 2, backingOffset: 512n })), /backing file/);
  assert.match(refusal(qcow2({ features: 0b100n })), /another file of the host/);
  assert.match(refusal(qcow2({ extension: 0x44415441 })), /another file of the host/);
});

test("a qcow2 disk that is encrypted, damaged, unknown or too large is refused, with what to do", () => {
  assert.match(refusal(qcow2({ version: 1 })), /version 1/);
  assert.match(refusal(qcow2({ encryption: 2 })), /encrypted/);
  assert.match(refusal(qcow2({ features: 0b10n })), /corrupt/);
  assert.match(refusal(qcow2({ features: 1n << 40n })), /unknown features/);
  assert.match(refusal(qcow2({ clusterBits: 63 })), /clusters/);
  assert.match(refusal(qcow2({ virtualBytes: 1n << 60n })), /virtual size/);
  assert.match(refusal(qcow2().subarray(0, 80)), /cut off/);
});

test("disks of other hypervisors and compressed ones are told apart from raw ones", () => {
  assert.match(refusal(Buffer.from("KDMV".padEnd(512, "\0"))), /vmdk/);
  assert.match(refusal(Buffer.from("vhdxfile".padEnd(512, "\0"))), /vhdx/);
  assert.match(refusal(Buffer.from("\x1f\x8b".padEnd(512, "\0"), "latin1")), /compressed/);
});

test("whatever bytes a file begins with, it is accepted or refused with IMAGE_INVALID", () => {
  const role = fc.constantFrom("kernel", "initrd", "disk");
  const template = fc.constantFrom(qcow2(), elf(), bzImage(), Buffer.alloc(0));
  const mutation = fc.array(fc.tuple(fc.nat(300), fc.nat(255)), { maxLength: 20 });
  fc.assert(
    fc.property(role, template, mutation, fc.nat(70_000), (chosen, base, mutations, length) => {
      const start = Buffer.from(base.subarray(0, length));
      for (const [offset, value] of mutations) if (offset < start.length) start[offset] = value;
      try {
        inspectFile(chosen, start);
      } catch (error) {
        assert.ok(isInvalid(error), String(error));
      }
    }),
    { numRuns: 500 },
  );
});
