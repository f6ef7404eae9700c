/**
 * The intents: what users want of VMs. Written by the API (create, change) and, at
 * the end of a deletion, by the leader (remove).
 *
 * Every write is idempotent by its operation id. A VM's id is derived from the id
 * of the operation that created it, so the comparison "no such VM yet" also finds
 * the retry of a create, or its id in a different request.
 */
import { createHash } from "node:crypto";
import { BlixardError } from "#model/errors.ts";
import type { TraceContext } from "#model/trace-context.ts";
import type { VmIntent, VmSpec } from "#model/vm.ts";
import { settle } from "./compare-and-swap.ts";
import { assignmentKey, imageKey, imageUserKey, placementKey, statusKey, vmKey, vmNameKey } from "./keys.ts";
import type { CallOptions, KeyValueStore, TransactionResult } from "./key-value-store.ts";
import { checkTerm, type LeaderTerm, termCompare, termGet } from "./leader-term.ts";
import { imageCodec } from "./records/image-codec.ts";
import type { Versioned } from "./records/record-codec.ts";
import { imageUserCodec, vmIntentCodec, vmNameCodec } from "./records/vm-codec.ts";
import { type IntentOperation, planIntentChange } from "./vm-intent.ts";

export interface CreateVm {
  readonly name: string;
  readonly spec: VmSpec;
  readonly desiredState: "running" | "stopped";
  readonly operationId: string;
  /** Hex sha256 of the request: tells a retry from a reuse of the operation id. */
  readonly requestDigest: string;
  readonly timeMs: number;
  /** Of the RPC server span: the origin of this VM. */
  readonly trace: TraceContext | undefined;
}

export interface VmWritten {
  readonly vm: Versioned<VmIntent>;
  /** False when an earlier try of the same operation had already done it. */
  readonly changed: boolean;
  /** For `WatchCache.waitForRevision`. */
  readonly revision: bigint;
}

export interface ChangeIntentOptions extends CallOptions {
  /** May refuse the change of the intent as it is now, by throwing; not asked on a retry that was already done. */
  readonly check?: (current: VmIntent) => void;
}

export interface VmRepository {
  /** @throws BlixardError VM_NAME_TAKEN, OPERATION_ID_REUSED, IMAGE_NOT_FOUND, STORE_* */
  create(request: CreateVm, options?: CallOptions): Promise<VmWritten>;
  get(vmId: string, options?: CallOptions): Promise<Versioned<VmIntent> | undefined>;
  getByName(name: string, options?: CallOptions): Promise<Versioned<VmIntent> | undefined>;
  /** @throws BlixardError VM_NOT_FOUND, VM_STATE_CONFLICT, OPERATION_ID_REUSED, STORE_* */
  changeIntent(vmId: string, operation: IntentOperation, options?: ChangeIntentOptions): Promise<VmWritten>;
  /**
   * The end of a VM: everything the store has of it, in one transaction. `nodeIds`: every node
   * that has an assignment or a status of it. Undefined: it was gone, or the intent has changed since.
   * @throws BlixardError NOT_LEADER, STORE_*
   */
  remove(
    term: LeaderTerm,
    vm: Versioned<VmIntent>,
    nodeIds: readonly string[],
    options?: CallOptions,
  ): Promise<bigint | undefined>;
}

/** A UUID (version 8) made of the operation id. */
export function vmIdOf(operationId: string): string {
  const hex = createHash("sha256").update(`blixard vm ${operationId}`).digest("hex");
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}

export function createVmRepository(store: KeyValueStore): VmRepository {
  async function get(vmId: string, options?: CallOptions): Promise<Versioned<VmIntent> | undefined> {
    const entry = await store.get(vmKey(vmId), options);
    return entry === undefined ? undefined : vmIntentCodec.decode(entry);
  }

  async function tryCreate(request: CreateVm, options?: CallOptions): Promise<{ value: VmWritten } | undefined> {
    const vmId = vmIdOf(request.operationId);
    const image = await store.get(imageKey(request.spec.image), options);
    const intent = newIntent(vmId, request, image === undefined ? "" : imageCodec.decode(image).value.digest);
    const result = await store.transact(
      {
        compare: [
          { kind: "modRevision", key: vmKey(vmId), equals: 0n },
          { kind: "modRevision", key: vmNameKey(request.name), equals: 0n },
          { kind: "modRevision", key: imageKey(request.spec.image), equals: image?.modRevision ?? -1n },
        ],
        success: [
          { kind: "put", key: vmKey(vmId), value: vmIntentCodec.encode(intent) },
          { kind: "put", key: vmNameKey(request.name), value: vmNameCodec.encode({ vmId }) },
          { kind: "put", key: imageUserKey(request.spec.image, vmId), value: imageUserCodec.encode({ vmId }) },
        ],
        failure: [
          { kind: "get", key: vmKey(vmId) },
          { kind: "get", key: vmNameKey(request.name) },
          { kind: "get", key: imageKey(request.spec.image) },
        ],
      },
      options,
    );
    if (!result.succeeded) return explainFailedCreate(request, result);
    const { revision } = result;
    return { value: { vm: { value: intent, modRevision: revision }, changed: true, revision } };
  }

  async function tryChange(
    vmId: string,
    operation: IntentOperation,
    options: ChangeIntentOptions,
  ): Promise<{ value: VmWritten } | undefined> {
    const current = await get(vmId, options);
    if (current === undefined) throw vmNotFound(vmId);
    const next = planIntentChange(current.value, operation);
    if (next === current.value) {
      return { value: { vm: current, changed: false, revision: current.modRevision } };
    }
    options.check?.(current.value);
    const result = await store.transact(
      {
        compare: [{ kind: "modRevision", key: vmKey(vmId), equals: current.modRevision }],
        success: [{ kind: "put", key: vmKey(vmId), value: vmIntentCodec.encode(next) }],
      },
      options,
    );
    if (!result.succeeded) return undefined;
    const { revision } = result;
    return { value: { vm: { value: next, modRevision: revision }, changed: true, revision } };
  }

  return {
    create: (request, options) => settle(`create VM ${request.name}`, () => tryCreate(request, options)),
    get,
    async getByName(name, options) {
      const entry = await store.get(vmNameKey(name), options);
      return entry === undefined ? undefined : get(vmNameCodec.decode(entry).value.vmId, options);
    },
    changeIntent: (vmId, operation, options = {}) =>
      settle(`${operation.kind} VM ${vmId}`, () => tryChange(vmId, operation, options)),
    remove: (term, vm, nodeIds, options) =>
      settle(`remove VM ${vm.value.name}`, async () => {
        const { id, name, spec } = vm.value;
        const result = await store.transact(
          {
            compare: [termCompare(term), { kind: "modRevision", key: vmKey(id), equals: vm.modRevision }],
            success: [
              vmKey(id),
              vmNameKey(name),
              placementKey(id),
              imageUserKey(spec.image, id),
              ...new Set(nodeIds.flatMap((nodeId) => [assignmentKey(nodeId, id), statusKey(nodeId, id)])),
            ].map((key) => ({ kind: "delete" as const, key })),
            failure: [termGet(term)],
          },
          options,
        );
        if (!result.succeeded) checkTerm(term, result.gets[0]);
        return { value: result.succeeded ? result.revision : undefined };
      }),
  };
}

function newIntent(id: string, request: CreateVm, imageDigest: string): VmIntent {
  const { name, spec, desiredState, operationId, requestDigest, timeMs, trace } = request;
  return {
    id,
    name,
    spec,
    desiredState,
    generation: 1,
    restartGeneration: 0,
    force: false,
    createTimeMs: timeMs,
    origin: trace,
    operations: [{ operationId, kind: "create", trace, timeMs }],
    createOperationId: operationId,
    createRequestDigest: requestDigest,
    imageDigest,
  };
}

/** undefined: the image changed in between, try again. */
function explainFailedCreate(request: CreateVm, { gets }: TransactionResult): { value: VmWritten } | undefined {
  const [vmEntry, nameEntry, imageEntry] = gets;
  if (vmEntry !== undefined) {
    const vm = vmIntentCodec.decode(vmEntry);
    if (vm.value.createRequestDigest === request.requestDigest) {
      return { value: { vm, changed: false, revision: vm.modRevision } };
    }
    throw new BlixardError(
      "OPERATION_ID_REUSED",
      `operation id ${request.operationId} was already used to create VM ${vm.value.name} differently`,
      { field: "operationId", hint: "Use a fresh operation id for every new request." },
    );
  }
  if (nameEntry !== undefined) {
    throw new BlixardError("VM_NAME_TAKEN", `a VM named ${request.name} already exists`, {
      field: "name",
      hint: `Choose another name, or delete the VM first: blixard vm delete ${request.name}`,
    });
  }
  if (imageEntry === undefined) {
    throw new BlixardError("IMAGE_NOT_FOUND", `there is no image named ${request.spec.image}`, {
      field: "spec.image",
      hint: "See `blixard image list`, or import it: blixard image import",
    });
  }
  return undefined;
}

function vmNotFound(vmId: string): BlixardError {
  return new BlixardError("VM_NOT_FOUND", `there is no VM ${vmId}`, { hint: "See `blixard vm list`." });
}
