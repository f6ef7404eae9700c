/** VmService: requests to admission and the cache, messages back. */
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { VmService, WatchVmsRequest, WatchVmsResponse } from "#gen/api/blixard/v1/vm_pb.ts";
import type { Admission } from "#control/admission.ts";
import type { ChangeKind } from "#control/operation-legality.ts";
import { BlixardError } from "#model/errors.ts";
import { parseVmReference } from "#model/names.ts";
import type { Vm } from "#model/vm.ts";
import type { WatchCache } from "#store/watch-cache.ts";
import { vmSpecInputFromMessage } from "../codec/vm-spec-input.ts";
import { estimateVmBytes, vmToMessage } from "../codec/vm-message.ts";
import type { LocalMachines } from "../ports.ts";
import { attachConsole } from "./attach-console.ts";
import { parsePageRequest, selectPage } from "./pages.ts";
import { parseVmFilter, type VmFilter } from "./vm-filter.ts";
import { watchVms, type VmWatchEvent } from "./watch-vms.ts";

export interface VmHandlerOptions {
  readonly admission: Pick<Admission, "createVm" | "changeVm">;
  readonly cache: Pick<WatchCache, "snapshot" | "subscribe">;
  readonly machines: LocalMachines;
}

/** Most clients refuse messages of more than 4 MiB. */
const MAXIMUM_PAGE_BYTES = 3 * 2 ** 20;

export function createVmHandler({ admission, cache, machines }: VmHandlerOptions): ServiceImpl<typeof VmService> {
  function findVm(reference: string): Vm {
    const vm = cache.snapshot().findVm(parseVmReference(reference));
    if (vm !== undefined) return vm;
    throw new BlixardError("VM_NOT_FOUND", `there is no VM ${reference}`, {
      field: "vm",
      hint: "See `blixard vm list`.",
    });
  }

  function* candidates(filter: VmFilter): Generator<Vm> {
    const view = cache.snapshot();
    const vms =
      filter.nodeId === undefined
        ? view.vms()
        : view
            .vmIdsOnNode(filter.nodeId)
            .values()
            .map((id) => view.vm(id));
    for (const vm of vms) if (vm !== undefined && filter.matches(vm)) yield vm;
  }

  const change =
    (kind: ChangeKind) =>
    async (request: { vm: string; operationId: string; force?: boolean }, context: HandlerContext) => {
      const { vm, operationId, force } = request;
      return { vm: vmToMessage(await admission.changeVm(kind, { vm, operationId, force }, context.signal)) };
    };

  return {
    async createVm({ name, spec, operationId, stopped }, context) {
      const input = { name, spec: vmSpecInputFromMessage(spec), operationId, stopped };
      return { vm: vmToMessage(await admission.createVm(input, context.signal)) };
    },
    getVm: (request) => ({ vm: vmToMessage(findVm(request.vm)) }),
    listVms(request) {
      const sizing = { maximumBytes: MAXIMUM_PAGE_BYTES, bytesOf: estimateVmBytes };
      const filter = parseVmFilter(request.filter);
      const page = selectPage(candidates(filter), parsePageRequest(request), (vm) => vm.intent.name, sizing);
      return { vms: page.items.map(vmToMessage), nextPageToken: page.nextToken };
    },
    async *watchVms(request, context) {
      const { matches, onlyVmId } = planWatch(request);
      for await (const event of watchVms(cache, matches, context.signal)) {
        yield { event: toWatchMessage(event) };
        // Its id is never given again: nothing more can come.
        if (onlyVmId !== undefined && cache.snapshot().vm(onlyVmId) === undefined) return;
      }
    },
    startVm: change("start"),
    stopVm: change("stop"),
    restartVm: change("restart"),
    pauseVm: change("pause"),
    resumeVm: change("resume"),
    deleteVm: change("delete"),
    async *readVmLog(request, context) {
      const vm = findVm(request.vm);
      const tailBytes = Number(request.tailBytes > MAXIMUM_TAIL_BYTES ? MAXIMUM_TAIL_BYTES : request.tailBytes);
      const log = machines.readLog(vm.intent.id, { follow: request.follow, tailBytes }, context.signal);
      for await (const { data, skippedBytes } of log) yield { data, skippedBytes: BigInt(skippedBytes) };
    },
    attachVmConsole: (requests, context) =>
      attachConsole(requests, context.signal, (reference, signal) =>
        machines.openConsole(findVm(reference).intent.id, signal),
      ),
  };

  function planWatch(request: WatchVmsRequest): { matches: (vm: Vm) => boolean; onlyVmId: string | undefined } {
    const filter = parseVmFilter(request.filter);
    if (request.vm === "") return { matches: (vm) => filter.matches(vm), onlyVmId: undefined };
    const onlyVmId = findVm(request.vm).intent.id;
    return { matches: (vm) => vm.intent.id === onlyVmId && filter.matches(vm), onlyVmId };
  }
}

const MAXIMUM_TAIL_BYTES = BigInt(Number.MAX_SAFE_INTEGER);

function toWatchMessage(event: VmWatchEvent): WatchVmsResponse["event"] {
  switch (event.kind) {
    case "changed":
      return { case: "changed", value: vmToMessage(event.vm) };
    case "deleted":
      return { case: "deleted", value: event.vmId };
    case "synced":
      return { case: "synced", value: { $typeName: "blixard.v1.WatchSynced" } };
  }
}
