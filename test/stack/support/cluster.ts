/**
 * The nodes of the stack, each a service of its own in the stack's network, configured as docs/integrations say,
 * with real guests. Today there is one; whoever uses this asks for the node that runs a VM, or for any.
 */
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { type GetTraceResponse, GetTraceResponseSchema } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { type CliResult, pidsMentioning, TestNode } from "#test/support/test-node.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { StackNetwork } from "./stack-network.ts";

const DEADLINE_MS = 120_000;
/** Each time a command is started, which takes a while itself. */
const POLL_MS = 250;

export interface ClusterNode {
  /** Its name in the network; its id in the cluster too. */
  readonly name: string;
  readonly node: TestNode;
}

export interface VmView {
  readonly id: string;
  readonly name: string;
  readonly status: { readonly state: string; readonly nodeId?: string; readonly restarts?: number };
}

export interface ClusterOptions {
  /** Host names, one for each node. */
  readonly names: readonly string[];
  readonly toml: string;
}

export class Cluster implements AsyncDisposable {
  readonly nodes: readonly ClusterNode[];

  private constructor(nodes: readonly ClusterNode[]) {
    this.nodes = nodes;
  }

  static async start(network: StackNetwork, { names, toml }: ClusterOptions): Promise<Cluster> {
    const nodes: ClusterNode[] = [];
    const cluster = new Cluster(nodes);
    try {
      for (const name of names) {
        const node = await TestNode.prepare({
          toml,
          environment: {
            BLIXARD_NODE__ID: name,
            BLIXARD_OBSERVABILITY__METRICS__HTTP_SERVER__ADVERTISE: `${name}:9090`,
            BLIXARD_OBSERVABILITY__LOGGING__FORMAT: "json",
          },
          prefix: await network.enter(name),
          readyTimeoutMs: DEADLINE_MS,
        });
        nodes.push({ name, node });
        await node.startDaemon();
      }
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** Any node that answers; whoever asks must not care which. */
  get any(): TestNode {
    const [first] = this.nodes;
    if (first === undefined) throw new Error("the cluster has no nodes");
    return first.node;
  }

  /** Runs a command line whose words have no spaces in them; throws when it fails. */
  async run(line: string, environment: Record<string, string> = {}): Promise<CliResult> {
    const result = await this.try(line, environment);
    if (result.exitCode !== 0)
      throw new Error(`blixard ${line}: exit ${result.exitCode}\n${result.stderr}${result.stdout}`);
    return result;
  }

  /** The same where a failure is what one wants to see. */
  try(line: string, environment: Record<string, string> = {}): Promise<CliResult> {
    return this.any.cli(line.split(" "), { timeoutMs: DEADLINE_MS, environment });
  }

  async vm(name: string): Promise<VmView> {
    return (await this.any.json<{ vm: VmView }>(["vm", "get", name])).vm;
  }

  /** The node that runs a VM. */
  async nodeOf(name: string): Promise<ClusterNode> {
    const { status } = await this.vm(name);
    const found = this.nodes.find((node) => node.name === status.nodeId) ?? this.nodes[0];
    if (found === undefined) throw new Error(`nobody runs ${name}`);
    return found;
  }

  /** @param what for the message when it does not come true in time */
  async waitForVm(name: string, what: string, condition: (vm: VmView) => boolean): Promise<VmView> {
    let seen: VmView | undefined;
    const poll = async (): Promise<VmView | undefined> => {
      if (seen !== undefined) await delay(POLL_MS);
      seen = await this.vm(name);
      return condition(seen) ? seen : undefined;
    };
    return waitFor(`${name} to be ${what}`, poll, DEADLINE_MS).catch((error: unknown) => {
      throw new Error(`the last that was seen: ${JSON.stringify(seen?.status)}`, { cause: error });
    });
  }

  /** What `blixard vm trace` shows. */
  async trace(vm: string, operation = "create"): Promise<GetTraceResponse> {
    const json = await this.any.json<JsonValue>(["vm", "trace", vm, "--operation", operation]);
    return fromJson(GetTraceResponseSchema, json);
  }

  /** A guest that crashes: its QEMU is killed from outside. */
  async crash(name: string): Promise<void> {
    const { id } = await this.vm(name);
    for (const pid of await pidsMentioning(id)) {
      const [program = ""] = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
      if (program.includes("qemu-system")) process.kill(pid, "SIGKILL");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map(({ node }) => node[Symbol.asyncDispose]()));
  }
}
