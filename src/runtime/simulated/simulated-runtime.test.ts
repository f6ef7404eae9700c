import assert from "node:assert/strict";
import { test } from "node:test";
import { BlixardError } from "#model/errors.ts";
import { parseVmSpec } from "#model/vm-spec.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import type { LaunchRequest, Machine } from "../runtime.ts";
import { createSimulatedRuntime } from "./simulated-runtime.ts";

const request = (vmId: string): LaunchRequest => ({
  vmId,
  vmName: vmId,
  instanceId: `${vmId}-1`,
  spec: parseVmSpec({ image: "demo" }),
  image: {
    digest: "",
    kernelPath: undefined,
    initrdPath: undefined,
    disk: undefined,
    commandLine: "",
    guestAgent: true,
  },
  trace: undefined,
});

async function eventKinds(machine: Machine): Promise<string[]> {
  const kinds: string[] = [];
  for await (const event of machine.events) kinds.push(event.kind);
  return kinds;
}

const never = new AbortController().signal;

test("a simulated machine says that it is simulated", async () => {
  const runtime = createSimulatedRuntime({ clock: createManualClock() });
  const capabilities = await runtime.start();
  assert.equal(capabilities.driver, "simulated");
  assert.equal(capabilities.accelerator, "none");
});

test("a machine tells its whole life in order", async () => {
  const runtime = createSimulatedRuntime({ clock: createManualClock() });
  const machine = await runtime.launch(request("vm"), never);
  await Promise.resolve();
  await machine.pause();
  await machine.pause();
  await machine.resume();
  assert.deepEqual(await machine.shutdown({ timeoutMs: 1000, force: false }), { forced: false });
  assert.deepEqual(await eventKinds(machine), ["ready", "paused", "resumed", "exited"]);
  await assert.rejects(machine.usage(), BlixardError);
});

test("there is never a second machine of a VM, and there may be one after the first is gone", async () => {
  const runtime = createSimulatedRuntime({ clock: createManualClock() });
  const first = await runtime.launch(request("vm"), never);
  await assert.rejects(runtime.launch(request("vm"), never), /runs already/);
  await first.shutdown({ timeoutMs: 0, force: true });
  await runtime.launch(request("vm"), never);
});

test("a guest that ends by itself says why", async () => {
  const runtime = createSimulatedRuntime({ clock: createManualClock() });
  const machine = await runtime.launch(request("vm"), never);
  assert.equal(runtime.endGuest("vm", "panic"), true);
  const events = [];
  for await (const event of machine.events) events.push(event);
  assert.ok(events.some((event) => event.kind === "exited" && event.exit.cause === "panic"));
  assert.equal(runtime.endGuest("vm", "panic"), false);
});
