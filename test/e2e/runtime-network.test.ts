/** What guests reach over the network, and what they do not: real guests that try it. */
import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, stat } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { MaterializedImage } from "#model/image.ts";
import { findTool } from "#process/find-tool.ts";
import { runCommand } from "#process/run.ts";
import type { Machine, Runtime } from "#runtime/runtime.ts";
import {
  buildTestImage,
  createQemuScene,
  isRoot,
  launchRequest,
  never,
  nextEvent,
  type QemuScene,
  runInGuest,
  testTools,
} from "#test/support/qemu-scene.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { hasCapability } from "#test/support/capability.ts";

describe("a guest's network", () => {
  let images: string;
  let image: MaterializedImage;
  let scene: QemuScene;
  let server: Server;
  let serverPort: number;

  before(async () => {
    images = await mkdtemp(join(tmpdir(), "blixard-images-"));
    image = await buildTestImage(images);
  });
  after(() => rm(images, { recursive: true, force: true }));
  beforeEach(async () => {
    scene = await createQemuScene();
    server = createServer((_, answer) => answer.end("the host's secret\n"));
    await new Promise<void>((resolve) => server.listen(0, resolve));
    serverPort = (server.address() as AddressInfo).port;
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await scene.end();
  });

  async function launchWith(egress: boolean): Promise<{ runtime: Runtime; machine: Machine }> {
    const { runtime } = await scene.startRuntime();
    const ports = [{ hostAddress: "127.0.0.1", hostPort: 0, guestPort: 80, protocol: "tcp" as const }];
    const network = { kind: "user" as const, ports, egress };
    const machine = await runtime.launch(launchRequest(image, { network }), never);
    assert.equal((await nextEvent(machine.events[Symbol.asyncIterator]())).kind, "ready");
    // With egress only once the guest has sent something: its address is learned from that.
    await waitFor("an answer at the published port", () =>
      fetch(`http://127.0.0.1:${machine.publishedPorts[0]?.hostPort}/`, { signal: AbortSignal.timeout(2_000) }).then(
        (answer) => answer.status < 500,
        () => false,
      ),
    );
    return { runtime, machine };
  }

  const get = (address: string): string =>
    `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 5 nc -w 3 ${address} ${serverPort}`;

  it("publishes ports without any way out, not even to the host's loopback", async () => {
    const { runtime, machine } = await launchWith(false);
    for (const address of ["10.0.2.2", ownAddress() ?? "10.0.2.2"]) {
      assert.doesNotMatch(await runInGuest(runtime, machine, get(address)), /secret/);
    }
  });

  it("leads out when asked to, past the host's loopback", async (test) => {
    const address = ownAddress();
    if (!hasCapability(test, "own-address", address !== undefined) || address === undefined) return;
    const { runtime, machine } = await launchWith(true);
    assert.match(await runInGuest(runtime, machine, get(address)), /secret/);
    assert.doesNotMatch(await runInGuest(runtime, machine, get("10.0.2.2")), /secret/);
    await machine.shutdown({ timeoutMs: 0, force: true });
  });

  it("joins a bridge of the host, and leaves no interface behind", async (test) => {
    if (!hasCapability(test, "root", isRoot)) return;
    const ip = (...args: string[]): ReturnType<typeof runCommand> =>
      runCommand({ command: findTool("ip", testTools), args, timeoutMs: 10_000 });
    const bridge = `blxtest${process.pid % 10_000}`;
    const made = await ip("link", "add", bridge, "type", "bridge");
    assert.equal(made.code, 0, made.stderr);
    test.after(() => ip("link", "delete", bridge));
    // As udev makes it; bare hosts without udev have it closed.
    const { mode } = await stat("/dev/net/tun");
    await chmod("/dev/net/tun", 0o666);
    test.after(() => chmod("/dev/net/tun", mode));
    const { runtime } = await scene.startRuntime();
    const network = { kind: "bridge" as const, bridge, macAddress: undefined };
    const request = launchRequest(image, { network });
    const machine = await runtime.launch(request, never);
    assert.equal((await nextEvent(machine.events[Symbol.asyncIterator]())).kind, "ready");
    assert.match((await ip("-o", "link", "show", "master", bridge)).stdout, /blx[0-9a-f]{12}:/);
    await machine.shutdown({ timeoutMs: 0, force: true });
    await runtime.remove(request.vmId);
    assert.equal((await ip("-o", "link", "show", "master", bridge)).stdout, "");
  });
});

/** An address of this host that is not its loopback. */
function ownAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find((address) => address.family === "IPv4" && !address.internal)?.address;
}
