import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ImageFileRole, type ImportImageHeader } from "#gen/api/blixard/v1/image_pb.ts";
import { FakeCliIo } from "#test/support/fake-cli-io.ts";
import { FakeNode } from "#test/support/fake-node.ts";
import { runCli } from "../../run-cli.ts";

test("an image's files arrive in the header's order, byte for byte, in pieces of at most 1 MiB", async () => {
  let header: ImportImageHeader | undefined;
  const hash = createHash("sha256");
  let largest = 0;
  await using node = await FakeNode.start({
    images: {
      async importImage(requests) {
        for await (const { message } of requests) {
          if (message.case === "header") header = message.value;
          if (message.case !== "data") continue;
          hash.update(message.value);
          largest = Math.max(largest, message.value.length);
        }
        return { image: { name: "demo", sizeBytes: 3_000_010n, digest: "sha256:abc" } };
      },
    },
  });
  const kernel = Buffer.alloc(3_000_000, "k");
  const initrd = Buffer.from("0123456789");
  await writeFile(join(node.directory, "vmlinux"), kernel);
  await writeFile(join(node.directory, "initrd"), initrd);
  const io = new FakeCliIo({ environment: node.environment });
  const files = ["--initrd", join(node.directory, "initrd"), "--kernel", join(node.directory, "vmlinux")];
  assert.equal(
    await runCli(["image", "import", "demo", ...files, "--cmdline", "quiet", "--guest-agent"], io),
    0,
    io.errors,
  );
  assert.deepEqual(
    header?.files.map(({ role, sizeBytes }) => [role, sizeBytes]),
    [
      [ImageFileRole.KERNEL, 3_000_000n],
      [ImageFileRole.INITRD, 10n],
    ],
  );
  assert.equal(header?.commandLine, "quiet");
  assert.equal(header?.guestAgent, true);
  assert.equal(hash.digest("hex"), createHash("sha256").update(kernel).update(initrd).digest("hex"));
  assert.ok(largest <= 1024 * 1024);
  assert.match(
    io.errors,
    /demo: importing \(2\.86 MiB of 2\.86 MiB\)\ndemo: importing \(the node verifies and stores it\)\n$/,
  );
  assert.equal(io.output, "demo is imported: 2.86 MiB, sha256:abc\n");
});

test("what cannot be an image is refused before anything is sent", async () => {
  await using node = await FakeNode.start({});
  const cases = [
    [[], 2],
    [["--initrd", "x"], 2],
    [["--disk", "x", "--kernel", "y"], 2],
    [["--kernel", "/nonexistent"], 1],
    [["--disk", node.directory], 1],
  ] as const;
  for (const [argv, expected] of cases) {
    const io = new FakeCliIo({ environment: node.environment });
    assert.equal(await runCli(["image", "import", "demo", ...argv], io), expected, argv.join(" "));
  }
  assert.equal(node.calls.length, 0);
});

test("a node that refuses an import early is heard", async () => {
  await using node = await FakeNode.start({
    images: {
      async importImage(requests) {
        for await (const _first of requests) break;
        throw new ConnectError("there is an image demo", Code.AlreadyExists);
      },
    },
  });
  await writeFile(join(node.directory, "disk"), Buffer.alloc(8 * 1024 * 1024));
  const io = new FakeCliIo({ environment: node.environment });
  assert.notEqual(await runCli(["image", "import", "demo", "--disk", join(node.directory, "disk")], io), 0);
  assert.match(io.errors, /there is an image demo/);
});

test("images are listed and deleted", async () => {
  await using node = await FakeNode.start({
    images: {
      listImages: () => ({
        images: [
          {
            name: "demo",
            digest: `sha256:${"ab".repeat(32)}`,
            files: [{ role: ImageFileRole.KERNEL }],
            sizeBytes: 5n << 20n,
            usedBy: ["web"],
          },
        ],
      }),
      deleteImage: ({ name }) => (assert.equal(name, "demo"), {}),
    },
  });
  const io = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["image", "list"], io), 0);
  assert.match(io.output, /^demo +abababababab +kernel +5 MiB +no +web$/m);
  assert.equal(await runCli(["image", "delete", "demo"], io), 0);
});
