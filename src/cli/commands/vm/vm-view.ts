/** A VM for reading: rows of tables, details, one-line states. */
import {
  DesiredVmState,
  NodeLossPolicy,
  type PublishedPort,
  ReadinessSource,
  RestartPolicy,
  type Vm,
  VmState,
} from "#gen/api/blixard/v1/vm_pb.ts";
import { approximateSize } from "#model/quantity.ts";
import { type Column, renderProperties, renderTable, type TableLayout } from "../../output/table.ts";
import { ageText, timestampText } from "../../output/time.ts";
import { enumText } from "../../output/enum-text.ts";
import type { StyleName } from "../../output/style.ts";

/** `running` */
export function stateName(state: VmState | undefined): string {
  return enumText(VmState, state ?? VmState.UNSPECIFIED) || "unknown";
}

function stateStyle(state: VmState | undefined): StyleName | undefined {
  switch (state) {
    case VmState.RUNNING:
      return "green";
    case VmState.FAILED:
    case VmState.LOST:
      return "red";
    case VmState.STOPPED:
      return "dim";
    default:
      return "yellow";
  }
}

export function vmColumns(nowMs: number): readonly Column<Vm>[] {
  return [
    { title: "NAME", value: (vm) => vm.name },
    { title: "STATE", value: (vm) => stateName(vm.status?.state), style: (vm) => stateStyle(vm.status?.state) },
    { title: "NODE", value: (vm) => vm.status?.nodeId ?? "" },
    { title: "VCPUS", align: "right", value: (vm) => String(vm.spec?.vcpus ?? "") },
    { title: "MEMORY", align: "right", value: (vm) => approximateSize(Number(vm.spec?.memoryBytes ?? 0n)) },
    { title: "IMAGE", value: (vm) => vm.spec?.image ?? "" },
    { title: "PORTS", value: (vm) => boundPorts(vm).map(portText).join(" ") },
    { title: "RESTARTS", align: "right", value: (vm) => (vm.status?.restarts ? String(vm.status.restarts) : "") },
    { title: "AGE", align: "right", value: (vm) => ageText(vm.createTime, nowMs) },
    { title: "WHY", value: whyNotRunning },
  ];
}

export function vmTable(vms: readonly Vm[], nowMs: number, layout: TableLayout): readonly string[] {
  return renderTable(vmColumns(nowMs), vms, layout);
}

/** One line: `web is running on node-1 (the guest said it is ready)`. */
export function vmSentence(vm: Vm): string {
  const { status } = vm;
  const where = status === undefined || status.nodeId === "" ? "" : ` on ${status.nodeId}`;
  const why =
    status?.state === VmState.RUNNING ? readinessText(status.readiness) : status?.message || status?.reason || "";
  const ports = boundPorts(vm).map(portText).join(" ");
  return `${vm.name} is ${stateName(status?.state)}${where}${why === "" ? "" : ` (${why})`}${ports === "" ? "" : `, ports ${ports}`}`;
}

export function vmDetails(vm: Vm, nowMs: number, layout: TableLayout): readonly string[] {
  const { spec, status } = vm;
  const exit = status?.lastExit;
  const properties: readonly (readonly [string, string])[] = [
    ["Name", vm.name],
    ["Id", vm.id],
    ["State", joined(stateName(status?.state), ageSuffix(status?.stateTime, nowMs))],
    [
      "Why",
      joined(status?.message ?? "", status?.reason === "" || status?.reason === undefined ? "" : `(${status.reason})`),
    ],
    ["Error", status?.errorCode ?? ""],
    ["Wanted", enumText(DesiredVmState, vm.desiredState)],
    ["Ready by", status?.state === VmState.RUNNING ? readinessText(status.readiness) : ""],
    ["Node", status?.nodeId ?? ""],
    ["Runs under", joined(status?.driver ?? "", status?.accelerator === "none" ? "" : (status?.accelerator ?? ""))],
    ["Image", spec?.image ?? ""],
    ["Command line", spec?.commandLine ?? ""],
    ["vCPUs", String(spec?.vcpus ?? "")],
    ["Memory", approximateSize(Number(spec?.memoryBytes ?? 0n))],
    ["Network", networkText(vm)],
    ["Ports", portsOf(vm).map(portText).join(" ")],
    [
      "Disks",
      (spec?.disks ?? [])
        .map((disk) => `${disk.name} ${approximateSize(Number(disk.sizeBytes))} ${disk.kind.case ?? "ephemeral"}`)
        .join(", "),
    ],
    [
      "Labels",
      Object.entries(spec?.labels ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .join(" "),
    ],
    ["Restart", enumText(RestartPolicy, spec?.restartPolicy)],
    ["On node loss", enumText(NodeLossPolicy, spec?.onNodeLoss)],
    ["Restarts", String(status?.restarts ?? 0)],
    ["Next restart", timestampText(status?.nextRestartTime)],
    ["Last exit", exit === undefined ? "" : joined(exit.cause, exitText(exit), timestampText(exit.time))],
    ["Last words", exit?.detail ?? ""],
    ["Created", timestampText(vm.createTime)],
    ["Started", timestampText(status?.startTime)],
    [
      "Generation",
      `${vm.generation}${status !== undefined && status.observedGeneration < vm.generation ? ` (the node has acted on ${status.observedGeneration})` : ""}`,
    ],
    ["Trace", vm.origin?.traceId ?? ""],
  ];
  return [...renderProperties(properties, layout), ...refusalLines(vm, layout), ...operationLines(vm, layout)];
}

function refusalLines(vm: Vm, layout: TableLayout): readonly string[] {
  const refusals = vm.status?.refusals ?? [];
  if (refusals.length === 0) return [];
  return [
    "",
    "No node takes it:",
    ...renderTable(
      [
        { title: "NODE", value: (refusal) => refusal.nodeId || "-" },
        { title: "REASON", value: (refusal) => refusal.reason },
        { title: "MESSAGE", value: (refusal) => refusal.message },
      ],
      refusals,
      layout,
    ),
  ];
}

function operationLines(vm: Vm, layout: TableLayout): readonly string[] {
  if (vm.operations.length === 0) return [];
  return [
    "",
    ...renderTable(
      [
        { title: "OPERATION", value: (operation) => operation.kind },
        { title: "TIME", value: (operation) => timestampText(operation.time) },
        { title: "ID", value: (operation) => operation.operationId },
        { title: "TRACE", value: (operation) => operation.trace?.traceId ?? "" },
      ],
      vm.operations,
      layout,
    ),
  ];
}

/** For a table: why a VM is not simply running. */
function whyNotRunning({ status }: Vm): string {
  if (status === undefined) return "";
  if (status.state === VmState.RUNNING || status.state === VmState.STOPPED) return "";
  return status.message || status.reason || status.errorCode;
}

function readinessText(readiness: ReadinessSource): string {
  if (readiness === ReadinessSource.GUEST) return "the guest said it is ready";
  return readiness === ReadinessSource.HYPERVISOR ? "the hypervisor runs it" : "";
}

function networkText({ spec }: Vm): string {
  const network = spec?.network?.kind;
  switch (network?.case) {
    case "user":
      return network.value.egress ? "user, with egress" : "user, no egress";
    case "bridge":
      return joined(`bridge ${network.value.bridge}`, network.value.macAddress);
    default:
      return "none";
  }
}

function boundPorts({ status }: Vm): readonly PublishedPort[] {
  return status?.publishedPorts ?? [];
}

/** The ports as they are bound; while it does not run, as they were asked for. */
function portsOf(vm: Vm): readonly PublishedPort[] {
  if (boundPorts(vm).length > 0) return boundPorts(vm);
  const network = vm.spec?.network?.kind;
  return network?.case === "user" ? network.value.ports : [];
}

function portText({ hostAddress, hostPort, guestPort, protocol }: PublishedPort): string {
  const host = `${hostAddress === "" ? "127.0.0.1" : hostAddress}:${hostPort === 0 ? "any" : hostPort}`;
  return `${host}->${guestPort}${protocol === "udp" ? "/udp" : ""}`;
}

function exitText(exit: { readonly exitCode?: number | undefined; readonly signal: string }): string {
  return joined(exit.exitCode === undefined ? "" : `exit code ${exit.exitCode}`, exit.signal);
}

function ageSuffix(time: Parameters<typeof ageText>[0], nowMs: number): string {
  const age = ageText(time, nowMs);
  return age === "" ? "" : `for ${age}`;
}

function joined(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join(" ");
}
