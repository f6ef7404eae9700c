import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type CreateVmRequest, NodeLossPolicy, RestartPolicy } from "#gen/api/blixard/v1/vm_pb.ts";
import { FakeNode } from "#test/support/fake-node.ts";
import { fakeVm, runOn } from "#test/support/fake-vm.ts";

test("vm create sends what the options say", async () => {
  const requests: CreateVmRequest[] = [];
  await using node = await FakeNode.start({
    vms: {
      createVm: (request) => {
        requests.push(request);
        return { vm: fakeVm() };
      },
    },
  });
  const argv = [
    "vm",
    "create",
    "web",
    "--image",
    "demo",
    "--vcpus",
    "2",
    "--memory",
    "512MiB",
    "--publish",
    "8080:80",
    "-p",
    "0.0.0.0:53:53/udp",
  ];
  const more = [
    "--disk",
    "name=data,size=1GiB,persistent",
    "--disk=name=tmp,size=64MiB",
    "-l",
    "a=b=c",
    "--restart",
    "always",
    "--on-node-loss",
    "hold",
  ];
  const rest = [
    "--boot-timeout",
    "30s",
    "--guest-agent",
    "no",
    "--cmdline",
    "quiet x=y",
    "--stopped",
    "--operation-id",
    "op-7",
  ];
  const { exitCode, io } = await runOn(node, [...argv, ...more, ...rest]);
  assert.equal(exitCode, 0, io.errors);
  const [request] = requests;
  assert.equal(request?.name, "web");
  assert.equal(request?.operationId, "op-7");
  assert.equal(request?.stopped, true);
  const spec = request?.spec;
  assert.equal(spec?.vcpus, 2);
  assert.equal(spec?.memoryBytes, 512n << 20n);
  assert.equal(spec?.commandLine, "quiet x=y");
  assert.deepEqual(spec?.labels, { a: "b=c" });
  assert.equal(spec?.restartPolicy, RestartPolicy.ALWAYS);
  assert.equal(spec?.onNodeLoss, NodeLossPolicy.HOLD);
  assert.equal(spec?.bootTimeout?.seconds, 30n);
  assert.equal(spec?.guestAgent, false);
  assert.deepEqual(
    spec?.disks.map((disk) => [disk.name, disk.sizeBytes, disk.kind.case]),
    [
      ["data", 1n << 30n, "persistent"],
      ["tmp", 64n << 20n, "ephemeral"],
    ],
  );
  const ports = spec?.network?.kind.case === "user" ? spec.network.kind.value.ports : [];
  assert.deepEqual(
    ports.map((port) => [port.hostAddress, port.hostPort, port.guestPort, port.protocol]),
    [
      ["127.0.0.1", 8080, 80, "tcp"],
      ["0.0.0.0", 53, 53, "udp"],
    ],
  );
});

test("vm create takes a file, and options win over it", async () => {
  const requests: CreateVmRequest[] = [];
  await using node = await FakeNode.start({
    vms: {
      createVm: (request) => {
        requests.push(request);
        return { vm: fakeVm() };
      },
    },
  });
  const file = join(node.directory, "vm.toml");
  await writeFile(
    file,
    `name = "web"\nimage = "demo"\nmemory = "1GiB"\n[labels]\na = "1"\nb = "2"\n[network]\npublish = ["8080:80"]\n[[disks]]\nname = "data"\nsize = "1GiB"\n`,
  );
  const { exitCode, io } = await runOn(node, ["vm", "create", "-f", file, "--memory", "256MiB", "--label", "b=3"]);
  assert.equal(exitCode, 0, io.errors);
  const [request] = requests;
  assert.equal(request?.name, "web");
  assert.equal(request?.spec?.memoryBytes, 256n << 20n);
  assert.deepEqual(request?.spec?.labels, { a: "1", b: "3" });
  assert.equal(request?.spec?.network?.kind.case, "user");
  assert.equal(request?.spec?.disks[0]?.kind.case, "ephemeral");
});

test("a wrong VM file lists every problem with its line, and nothing is created", async () => {
  const directory = await mkdtemp(join(tmpdir(), "blixard-vm-file-"));
  try {
    const file = join(directory, "vm.toml");
    await writeFile(file, `nam = "web"\nvcpus = 0\nmemory = 256\n[[disks]]\nname = "data"\nsiz = "1GiB"\n`);
    await using node = await FakeNode.start({});
    const { exitCode, io } = await runOn(node, ["vm", "create", "web", "-f", file]);
    assert.equal(exitCode, 2);
    assert.match(io.errors, /vm\.toml has 5 problems \(CONFIG_INVALID\):/);
    assert.match(io.errors, /vm\.toml:1:1: unknown key at the top of a VM file, found "nam"; did you mean "name"\?/);
    assert.match(io.errors, /vm\.toml:2:9: vcpus: expected an integer from 1 to 64, found 0/);
    assert.match(io.errors, /vm\.toml:6:1: disks: unknown key of a disk \(did you mean "size"\?\)/);
    assert.match(io.errors, /disks: a disk needs "size"/);
    assert.equal(node.calls.length, 0);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("what makes no sense on the command line is refused before anything is sent", async () => {
  await using node = await FakeNode.start({});
  const wrong = [
    ["web"],
    ["web", "--image", "demo", "--memory", "lots"],
    ["web", "--image", "demo", "--publish", "80:"],
    ["web", "--image", "demo", "--publish", "99999:80"],
    ["web", "--image", "demo", "--disk", "name=x"],
    ["web", "--image", "demo", "--disk", "name=x,size=1GiB,quick"],
    ["web", "--image", "demo", "--network", "none", "--publish", "80:80"],
    ["web", "--image", "demo", "--network", "bridge="],
    ["web", "--image", "demo", "--label", "novalue"],
    ["web", "--image", "demo", "--restart", "sometimes"],
    ["web", "surplus", "--image", "demo"],
    ["--image", "demo"],
  ];
  for (const argv of wrong) assert.equal((await runOn(node, ["vm", "create", ...argv])).exitCode, 2, argv.join(" "));
  assert.equal(node.calls.length, 0);
});
