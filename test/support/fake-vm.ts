/** VMs as a node would answer them, and a CLI run against a fake node. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { runCli } from "#cli/run-cli.ts";
import {
  DesiredVmState,
  type Vm,
  type VmOperationSchema,
  VmSchema,
  VmState,
  type VmStatusSchema,
} from "#gen/api/blixard/v1/vm_pb.ts";
import { FakeCliIo, type FakeCliIoOptions } from "./fake-cli-io.ts";
import type { FakeNode } from "./fake-node.ts";

export interface VmInit {
  readonly name?: string;
  readonly status?: MessageInitShape<typeof VmStatusSchema>;
  readonly operations?: MessageInitShape<typeof VmOperationSchema>[];
}

/** A VM `web`, pending unless told otherwise. */
export function fakeVm(init: VmInit = {}): Vm {
  return create(VmSchema, {
    id: "11111111-1111-4111-8111-111111111111",
    generation: 1n,
    desiredState: DesiredVmState.RUNNING,
    spec: { vcpus: 1, memoryBytes: 256n << 20n, image: "demo" },
    name: init.name ?? "web",
    status: init.status ?? { state: VmState.PENDING },
    operations: init.operations ?? [],
  });
}

export const runningVm = fakeVm({ status: { state: VmState.RUNNING, nodeId: "node-1", observedGeneration: 1n } });

/** Runs one command line against the node. */
export async function runOn(
  node: FakeNode,
  argv: readonly string[],
  options: FakeCliIoOptions = {},
): Promise<{ exitCode: number; io: FakeCliIo }> {
  const io = new FakeCliIo({ ...options, environment: { ...node.environment, ...options.environment } });
  return { exitCode: await runCli(argv, io), io };
}
