/**
 * What the API calls for every write: it checks the request with the model, stores the
 * intent in one transaction with the trace context of the RPC, and answers with the VM
 * as it stands. Everything after that is reconciliation. Idempotent by operation id:
 * the same request again gives the same answer. It never waits for a node.
 *
 *   request ─► parse ─► legal in this state? ─► one transaction ─► the VM, read back from the cache
 */
import { createHash } from "node:crypto";
import { vmAdmit } from "#gen/telemetry/spans.ts";
import type { Clock } from "#model/clock.ts";
import { BlixardError } from "#model/errors.ts";
import { parseNodeId, parseOperationId, parseVmName, parseVmReference } from "#model/names.ts";
import type { Node } from "#model/node.ts";
import { parseVmSpec, type VmSpecInput } from "#model/vm-spec.ts";
import type { Vm, VmIntent, VmSpec } from "#model/vm.ts";
import { joinVm } from "#store/join-vm.ts";
import type { NodeRepository } from "#store/node-repository.ts";
import { type VmRepository, vmIdOf, type VmWritten } from "#store/vm-repository.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import type { ActiveSpan, Telemetry } from "#telemetry/port.ts";
import { type ChangeKind, checkOperation, stateConflict } from "./operation-legality.ts";

export interface CreateVmInput {
  readonly name: string;
  readonly spec: VmSpecInput;
  /** Default false: it is to run. */
  readonly stopped?: boolean | undefined;
  /** Default: a fresh one. */
  readonly operationId?: string | undefined;
}

export interface ChangeVmInput {
  /** Name or id. */
  readonly vm: string;
  readonly operationId?: string | undefined;
  /** Without asking the guest: stop, restart, delete. Default false. */
  readonly force?: boolean | undefined;
}

export interface Admission {
  /** @throws BlixardError INVALID_ARGUMENT, VM_NAME_TAKEN, IMAGE_NOT_FOUND, OPERATION_ID_REUSED, STORE_* */
  createVm(input: CreateVmInput, signal?: AbortSignal): Promise<Vm>;
  /** @throws BlixardError INVALID_ARGUMENT, VM_NOT_FOUND, VM_STATE_CONFLICT, OPERATION_ID_REUSED, STORE_* */
  changeVm(kind: ChangeKind, input: ChangeVmInput, signal?: AbortSignal): Promise<Vm>;
  /** @throws BlixardError INVALID_ARGUMENT, NODE_NOT_FOUND, STORE_* */
  setNodeCordoned(nodeId: string, cordoned: boolean, signal?: AbortSignal): Promise<Node>;
}

export interface AdmissionOptions {
  readonly vms: VmRepository;
  readonly nodes: Pick<NodeRepository, "setCordoned">;
  readonly cache: Pick<WatchCache, "snapshot" | "waitForRevision">;
  readonly clock: Clock;
  /** A fresh operation id. */
  readonly newOperationId: () => string;
  readonly telemetry: Telemetry;
  /** How long an answer waits for the cache to show the write. Default 1 s. */
  readonly readBackTimeoutMs?: number;
}

const DEFAULT_READ_BACK_TIMEOUT_MS = 1000;

export function createAdmission(options: AdmissionOptions): Admission {
  const { vms, nodes, cache, clock, telemetry } = options;
  const readBackTimeoutMs = options.readBackTimeoutMs ?? DEFAULT_READ_BACK_TIMEOUT_MS;

  async function createVm(input: CreateVmInput, signal?: AbortSignal): Promise<Vm> {
    const name = parseVmName(input.name);
    const spec = parseVmSpec(input.spec);
    const desiredState = input.stopped === true ? "stopped" : "running";
    const operationId = parseOperationId(input.operationId) ?? options.newOperationId();
    // The caller's span, not ours: it is the one that everything later belongs to.
    const trace = telemetry.tracing.active();
    return telemetry.tracing.span(
      vmAdmit,
      {
        attributes: {
          "blixard.vm.id": vmIdOf(operationId),
          "blixard.vm.name": name,
          "blixard.vm.operation": "create",
          "blixard.operation.id": operationId,
          "blixard.vm.vcpu_count": spec.vcpus,
          "blixard.vm.memory_size": spec.memoryBytes,
          "blixard.image.name": spec.image,
        },
      },
      async (span) => {
        const requestDigest = digestOfRequest(name, spec, desiredState);
        const timeMs = clock.now();
        const written = await vms.create(
          { name, spec, desiredState, operationId, requestDigest, timeMs, trace },
          callOptions(signal),
        );
        return answer(written, span, signal);
      },
    );
  }

  async function changeVm(kind: ChangeKind, input: ChangeVmInput, signal?: AbortSignal): Promise<Vm> {
    const reference = parseVmReference(input.vm);
    const operationId = parseOperationId(input.operationId) ?? options.newOperationId();
    const force = input.force === true;
    const trace = telemetry.tracing.active();
    const vmId = await resolveVm(reference, signal);
    return telemetry.tracing.span(
      vmAdmit,
      { attributes: { "blixard.vm.id": vmId, "blixard.vm.operation": kind, "blixard.operation.id": operationId } },
      async (span) => {
        const operation = { operationId, kind, trace, timeMs: clock.now(), force };
        const check = (current: VmIntent): void => checkOperation(kind, viewOf(current));
        try {
          const written = await vms.changeIntent(vmId, operation, { ...callOptions(signal), check });
          return await answer(written, span, signal);
        } catch (error) {
          throw explainConflict(kind, vmId, error);
        }
      },
    );
  }

  /** The cache may lag behind a create of a moment ago: what it does not know is asked of the store. */
  async function resolveVm(reference: string, signal: AbortSignal | undefined): Promise<string> {
    const known = cache.snapshot().findVm(reference);
    if (known !== undefined) return known.intent.id;
    const stored =
      (await vms.get(reference, callOptions(signal))) ?? (await vms.getByName(reference, callOptions(signal)));
    if (stored !== undefined) return stored.value.id;
    throw new BlixardError("VM_NOT_FOUND", `there is no VM ${reference}`, {
      field: "vm",
      hint: "See `blixard vm list`.",
    });
  }

  function viewOf(intent: VmIntent): Vm {
    const seen = cache.snapshot().vm(intent.id);
    return seen === undefined ? joinVm(intent, undefined, undefined) : { ...seen, intent };
  }

  /** The store knows that it cannot be; the cache knows the state, and so what to do. */
  function explainConflict(kind: ChangeKind, vmId: string, error: unknown): unknown {
    if (!(error instanceof BlixardError) || error.code !== "VM_STATE_CONFLICT" || error.hint !== undefined)
      return error;
    const vm = cache.snapshot().vm(vmId);
    return vm === undefined ? error : stateConflict(kind, vm, error);
  }

  async function answer(written: VmWritten, span: ActiveSpan, signal: AbortSignal | undefined): Promise<Vm> {
    const intent = written.vm.value;
    span.setAttributes({
      "blixard.vm.name": intent.name,
      "blixard.vm.generation": intent.generation,
      "blixard.image.digest": intent.imageDigest,
      "blixard.store.revision": Number(written.revision),
    });
    await readBack(written.revision, signal);
    return viewOf(intent);
  }

  /** So that the caller reads its own write; a cache that cannot follow holds no answer up for long. */
  async function readBack(revision: bigint, signal: AbortSignal | undefined): Promise<void> {
    const deadline = new AbortController();
    const timer = new AbortController();
    clock.delay(readBackTimeoutMs, timer.signal).then(
      () => deadline.abort(),
      () => undefined,
    );
    const until = signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, signal]);
    await cache.waitForRevision(revision, until).catch(() => undefined);
    timer.abort();
  }

  return {
    createVm,
    changeVm,
    async setNodeCordoned(nodeId, cordoned, signal) {
      const id = parseNodeId(nodeId);
      const revision = await nodes.setCordoned(id, cordoned, callOptions(signal));
      if (revision !== undefined) await readBack(revision, signal);
      const node = cache.snapshot().node(id);
      if (revision !== undefined && node !== undefined) return { ...node, cordoned };
      throw new BlixardError("NODE_NOT_FOUND", `there is no node ${id}`, {
        field: "node",
        hint: "See `blixard node list`.",
      });
    },
  };
}

function callOptions(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** Hex. Specs are complete and made in one place, so their fields always come in one order; labels are sorted. */
function digestOfRequest(name: string, spec: VmSpec, desiredState: "running" | "stopped"): string {
  const labels = Object.entries(spec.labels).toSorted(([left], [right]) => (left < right ? -1 : 1));
  const canonical = JSON.stringify([name, desiredState, { ...spec, labels }]);
  return createHash("sha256").update(canonical).digest("hex");
}
