/**
 * What Blixard adds to a start: the time from the create call to the guest's own
 * "ready", over a bare QEMU start of the same kernel, initrd, machine and devices.
 * Strictly alternating. What is added at a quantile is the difference of the two
 * quantiles: a bare start has its own spread, which is not Blixard's to answer for.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { VmService, VmState } from "#gen/api/blixard/v1/vm_pb.ts";
import { planMachineType, readHostTscKhz } from "#runtime/qemu/host-tsc.ts";
import { type DemoImage, demoImage, importDemoImage } from "#test/support/demo-image.ts";
import { TestNode } from "#test/support/test-node.ts";
import { connectToNode } from "./connect-to-node.ts";
import type { BenchmarkRow } from "./report.ts";
import { bootstrap, quantile } from "./statistics.ts";

const PAIRS = 30;
const WARM_UP_PAIRS = 2;
const MEMORY_MIB = 256;

interface Pair {
  readonly bareMs: number;
  readonly nodeMs: number;
}

export async function benchStartLatency(): Promise<BenchmarkRow[]> {
  const image = await demoImage();
  const directory = await mkdtemp(join(tmpdir(), "blixard-bench-"));
  await using node = await TestNode.start({
    toml:
      `[node]\nid = "bench"\nbind = "127.0.0.1:0"\n[runtime]\naccelerator = "tcg"\n` +
      `[observability.metrics.http_server]\nenabled = true\nbind = "127.0.0.1:0"\n`,
  });
  await importDemoImage(node);
  const client = createClient(VmService, createGrpcTransport(await connectToNode(node)));
  const pairs: Pair[] = [];
  try {
    for (let pair = -WARM_UP_PAIRS; pair < PAIRS; pair++) {
      const bareFirst = pair % 2 === 0;
      const first = bareFirst ? await startBare(image, directory) : await startByNode(client, pair);
      const second = bareFirst ? await startByNode(client, pair) : await startBare(image, directory);
      if (pair >= 0) pairs.push(bareFirst ? { bareMs: first, nodeMs: second } : { bareMs: second, nodeMs: first });
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return [rowAt(pairs, 0.5, 100), rowAt(pairs, 0.99, 200)];
}

function rowAt(pairs: readonly Pair[], q: number, atMost: number): BenchmarkRow {
  const added = (sample: readonly Pair[]): number =>
    quantile(
      sample.map(({ nodeMs }) => nodeMs),
      q,
    ) -
    quantile(
      sample.map(({ bareMs }) => bareMs),
      q,
    );
  return {
    what: `create to ready over a bare QEMU start, p${q * 100}`,
    unit: "ms",
    interval: bootstrap(pairs, added),
    budget: { atMost },
    observations: pairs.length,
  };
}

async function startByNode(client: Client<typeof VmService>, pair: number): Promise<number> {
  const name = `bench-${pair + WARM_UP_PAIRS}`;
  const start = performance.now();
  const created = await client.createVm({ name, spec: { image: "demo", memoryBytes: BigInt(MEMORY_MIB) * 1048576n } });
  const id = created.vm?.id ?? "";
  await watchUntil(client, id, (state) => state === VmState.RUNNING);
  const elapsedMs = performance.now() - start;
  await client.deleteVm({ vm: id, force: true });
  await watchUntil(client, id, () => false);
  return elapsedMs;
}

/** Until the VM is in the state, or gone. */
async function watchUntil(
  client: Client<typeof VmService>,
  vm: string,
  done: (state: VmState) => boolean,
): Promise<void> {
  const abort = new AbortController();
  try {
    for await (const { event } of client.watchVms({ filter: {} }, { signal: abort.signal })) {
      if (event.case === "changed" && event.value.id === vm && done(event.value.status?.state ?? VmState.UNSPECIFIED))
        return;
      if (event.case === "deleted" && event.value === vm) return;
      if (event.case === "synced" && !(await exists(client, vm))) return;
    }
  } finally {
    abort.abort();
  }
}

async function exists(client: Client<typeof VmService>, vm: string): Promise<boolean> {
  return client.getVm({ vm }).then(
    () => true,
    () => false,
  );
}

/** The same guest by the shortest way: one spawn, one socket. */
async function startBare(image: DemoImage, directory: string): Promise<number> {
  const socketPath = join(directory, "agent.sock");
  const server = createServer().listen(socketPath);
  await once(server, "listening");
  const ready = once(server, "connection").then(([socket]: Socket[]) => firstReady(socket));
  const start = performance.now();
  const child = spawn("qemu-system-x86_64", bareArguments(image, socketPath), {
    stdio: ["ignore", "ignore", "inherit"],
  });
  try {
    await Promise.race([ready, ended(child)]);
    return performance.now() - start;
  } finally {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    server.close();
  }
}

function bareArguments(image: DemoImage, socketPath: string): string[] {
  const tscKhz = readHostTscKhz();
  const { machineType } = planMachineType({ configured: "auto", tscKhz });
  const tsc = machineType === "microvm" ? ` tsc_early_khz=${tscKhz}` : "";
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-machine", machineType === "microvm" ? "microvm,pcie=on" : "q35", "-accel", "tcg,tb-size=256"],
    ...["-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+lahf-lm"],
    ...["-smp", "1", "-m", `${MEMORY_MIB}M`, "-serial", "null"],
    ...["-device", "virtio-serial-pci,max_ports=4", "-chardev", `socket,id=agent,path=${socketPath}`],
    ...["-device", "virtserialport,chardev=agent,name=org.blixard.agent", "-device", "pvpanic-pci"],
    ...["-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng"],
    ...["-kernel", image.kernelPath, "-initrd", image.initrdPath, "-append", `${image.commandLine}${tsc}`],
  ];
}

async function firstReady(socket: Socket | undefined): Promise<void> {
  let text = "";
  if (socket === undefined) return;
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.includes('"ready"')) return;
  }
  throw new Error("the guest closed its channel before it was ready");
}

async function ended(child: ChildProcess): Promise<never> {
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  throw new Error(`QEMU ended with ${code ?? signal}`);
}
