/**
 * `--wait`: follows a VM by WatchVms until it is where it was asked to be, with
 * progress on stderr. What is judged as reached or failed is pure (`judgeVm`); a
 * broken connection is tried again until the time is up.
 */
import { create } from "@bufbuild/protobuf";
import { DesiredVmState, type Vm, VmService, VmState, WatchVmsRequestSchema } from "#gen/api/blixard/v1/vm_pb.ts";
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import { formatDuration } from "#model/quantity.ts";
import { fromRpcError } from "./client/rpc-error.ts";
import { stateName } from "./commands/vm/vm-view.ts";
import type { CommandContext } from "./context.ts";
import { InterruptedError, WaitTimeoutError } from "./failure.ts";
import { createProgress } from "./output/progress.ts";
import { timestampMs } from "./output/time.ts";

/** `restarted`: running again, after the restart that was asked for. */
export type WaitGoal = "running" | "restarted" | "stopped" | "paused" | "deleted";

export interface WaitOptions {
  readonly goal: WaitGoal;
  /** The VM as the call answered it: id, name, and the generation that must have been acted on. */
  readonly vm: Vm;
  readonly timeoutMs: number;
}

export type Verdict =
  | { readonly kind: "reached" }
  | { readonly kind: "waiting"; readonly detail: string }
  | { readonly kind: "failed"; readonly error: BlixardError };

const RETRY_DELAY_MS = 500;
/** A node that restarts or elects a leader is back soon. */
const PASSING_TROUBLES: ReadonlySet<ErrorCode> = new Set([
  "NODE_UNREACHABLE",
  "SHUTTING_DOWN",
  "NOT_LEADER",
  "STORE_UNAVAILABLE",
]);

/** The VM as it is in the end; undefined when it was to be deleted. @throws WaitTimeoutError, BlixardError VM_FAILED */
export async function waitForVm(context: CommandContext, options: WaitOptions): Promise<Vm | undefined> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const signal = AbortSignal.any([deadline, context.signal]);
  const progress = createProgress(context.io, options.vm.name);
  let latest = options.vm;
  try {
    for (;;) {
      try {
        const end = await followOnce(context, options, signal, (vm, detail) => {
          latest = vm;
          progress.update(stateName(vm.status?.state), detail);
        });
        if (end !== undefined) return end.vm;
      } catch (error) {
        if (signal.aborted) throw error;
        const { code, message } = fromRpcError(error);
        // It may be gone before it is watched.
        if (code === "VM_NOT_FOUND" && options.goal === "deleted") return undefined;
        if (!PASSING_TROUBLES.has(code)) throw error;
        progress.update("waiting", `${message}, trying again`);
      }
      await delay(RETRY_DELAY_MS, signal);
    }
  } catch (error) {
    if (context.signal.aborted) throw new InterruptedError();
    if (deadline.aborted) throw timedOut(options, latest);
    throw error;
  } finally {
    progress.end();
  }
}

/** One watch, to its end; undefined when the node ended it first. */
async function followOnce(
  context: CommandContext,
  { vm: { id }, vm: asked, goal }: WaitOptions,
  signal: AbortSignal,
  onChange: (vm: Vm, detail: string) => void,
): Promise<{ readonly vm: Vm | undefined } | undefined> {
  const vms = await context.node.client(VmService);
  let seen = false;
  for await (const { event } of vms.watchVms(create(WatchVmsRequestSchema, { vm: id }), { signal, timeoutMs: 0 })) {
    if (event.case === "changed" && event.value.id === id) {
      seen = true;
      const verdict = judgeVm(goal, event.value, asked);
      if (verdict.kind === "reached") return { vm: event.value };
      if (verdict.kind === "failed") throw verdict.error;
      onChange(event.value, verdict.detail);
    } else if ((event.case === "deleted" && event.value === id) || (event.case === "synced" && !seen)) {
      if (goal === "deleted") return { vm: undefined };
      throw new BlixardError("VM_NOT_FOUND", `${asked.name} was deleted while it was waited for`);
    }
  }
  return undefined;
}

/** Where a VM stands on its way. `asked`: the VM as the call answered it. */
export function judgeVm(goal: WaitGoal, vm: Vm, asked: Vm): Verdict {
  const { generation } = asked;
  const { status } = vm;
  const state = status?.state ?? VmState.UNSPECIFIED;
  const detail = status?.message || status?.reason || "";
  if (goal === "deleted") return { kind: "waiting", detail };
  if (vm.generation > generation && vm.desiredState !== DESIRED_STATES[goal]) {
    return failed(`somebody else wants ${vm.name} in another state now`, "VM_STATE_CONFLICT", vm.name);
  }
  if (status === undefined || status.observedGeneration < generation) return { kind: "waiting", detail };
  // On its way through a restart a VM stops, and that is no failure.
  const restartPending =
    goal === "restarted" && status.observedRestartGeneration <= (asked.status?.observedRestartGeneration ?? 0n);
  if (restartPending) return { kind: "waiting", detail };
  if (state === GOAL_STATES[goal]) return { kind: "reached" };
  // A failed VM with a next restart is still on its way.
  if (state === VmState.FAILED && status.nextRestartTime === undefined) {
    return failed(`${vm.name} failed${detail === "" ? "" : `: ${detail}`}`, "VM_FAILED", vm.name);
  }
  const exitTimeMs = timestampMs(status.lastExit?.time);
  const askedTimeMs = timestampMs(asked.operations[0]?.time ?? asked.createTime) ?? 0;
  // The node goes on trying, but what keeps a hypervisor from starting rarely goes away by itself.
  const neverRan = status.lastExit?.cause === "start_failed" && exitTimeMs !== undefined && exitTimeMs >= askedTimeMs;
  if (GOAL_STATES[goal] === VmState.RUNNING && neverRan && status.nextRestartTime !== undefined) {
    return failed(`${vm.name} cannot be started${detail === "" ? "" : `: ${detail}`}`, "VM_FAILED", vm.name);
  }
  if (
    GOAL_STATES[goal] === VmState.RUNNING &&
    state === VmState.STOPPED &&
    exitTimeMs !== undefined &&
    exitTimeMs >= askedTimeMs
  ) {
    return failed(`${vm.name} stopped before it was ready${detail === "" ? "" : `: ${detail}`}`, "VM_FAILED", vm.name);
  }
  return { kind: "waiting", detail };
}

const GOAL_STATES = {
  running: VmState.RUNNING,
  restarted: VmState.RUNNING,
  stopped: VmState.STOPPED,
  paused: VmState.PAUSED,
} as const;
const DESIRED_STATES = {
  running: DesiredVmState.RUNNING,
  restarted: DesiredVmState.RUNNING,
  stopped: DesiredVmState.STOPPED,
  paused: DesiredVmState.PAUSED,
} as const;

function failed(message: string, code: "VM_FAILED" | "VM_STATE_CONFLICT", name: string): Verdict {
  const hint =
    code === "VM_FAILED"
      ? `\`blixard vm get ${name}\` says more, \`blixard vm logs ${name}\` what its guest printed.`
      : `\`blixard vm get ${name}\` shows what was asked for since.`;
  return { kind: "failed", error: new BlixardError(code, message, { hint }) };
}

function timedOut({ goal, vm, timeoutMs }: WaitOptions, latest: Vm): WaitTimeoutError {
  const { status } = latest;
  const why = status?.message || status?.reason || "";
  const state = `${stateName(status?.state)}${why === "" ? "" : ` (${why})`}`;
  return new WaitTimeoutError(
    `${vm.name} is not ${goal} after ${formatDuration(timeoutMs)}: it is ${state}`,
    `It goes on without being waited for: \`blixard vm get ${vm.name}\` shows it, --timeout waits longer.`,
  );
}

function delay(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, durationMs);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}
