/**
 * What happens to the VMs of a cluster while the stack looks on, phase by phase, in this order: created, operated,
 * failing, crashing, adopted by a daemon that was killed, deleted. It needs no more of the cluster than that it has
 * nodes. A phase returns when what it does is done; what the backends have of it is for the tests to say.
 */
import { randomBytes } from "node:crypto";
import { importDemoImage } from "#test/support/demo-image.ts";
import type { CliResult } from "#test/support/test-node.ts";
import type { Cluster, VmView } from "./cluster.ts";

export class Scenario {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** `web`, with a disk and a published port, is running and says that it is ready. */
  async create(): Promise<VmView> {
    await importDemoImage(this.#cluster.any);
    await this.#cluster.run("vm create web --image demo --publish 0:80 --disk name=data,size=16MiB --wait");
    return this.#cluster.vm("web");
  }

  /** One operation on `web`, until it is done. */
  async operate(verb: "pause" | "resume" | "stop" | "start" | "restart"): Promise<void> {
    await this.#cluster.run(`vm ${verb} web --wait`);
  }

  /** `late` never says that it is ready: its creation fails, as the command does. */
  async fail(): Promise<CliResult> {
    const how = "--restart never --boot-timeout 2s --cmdline blixard.workload=silent";
    return this.#cluster.try(`vm create late --image demo ${how} --wait`);
  }

  /** The guest of `web` is killed, and started again by its policy. */
  async crash(): Promise<VmView> {
    const { restarts = 0 } = (await this.#cluster.vm("web")).status;
    await this.#cluster.crash("web");
    return this.#cluster.waitForVm("web", `running again after ${restarts + 1} restarts`, ({ status }) => {
      return (status.restarts ?? 0) > restarts && status.state === "VM_STATE_RUNNING";
    });
  }

  /** The daemon of the node that runs `web` is killed; the next one finds the guest running. */
  async loseDaemon(): Promise<VmView> {
    const { node } = await this.#cluster.nodeOf("web");
    await node.endDaemon("SIGKILL");
    await node.startDaemon();
    return this.#cluster.waitForVm("web", "adopted", ({ status }) => status.state === "VM_STATE_RUNNING");
  }

  /** Both are deleted, `web` within a trace of the caller's. */
  async delete(): Promise<{ readonly traceId: string; readonly parentSpanId: string }> {
    const [traceId, parentSpanId] = [randomBytes(16).toString("hex"), randomBytes(8).toString("hex")];
    await this.#cluster.run("vm delete late --force --wait");
    await this.#cluster.run("vm delete web --force --wait", { TRACEPARENT: `00-${traceId}-${parentSpanId}-01` });
    return { traceId, parentSpanId };
  }
}
