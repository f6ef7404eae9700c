/** A machine that runs guests, as the scheduler and the API see it. */
import type { Accelerator, RuntimeDriver } from "./vm.ts";

export interface NodeResources {
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

/** Where a node's metrics page is read, and whose metrics they are. */
export interface MetricsEndpoint {
  /** `host:port` by which others reach it. */
  readonly address: string;
  readonly scheme: "http" | "https";
  readonly path: string;
  /** Labels of its series in Prometheus, whichever way they come. Source: OTLP to Prometheus, resource attributes. */
  readonly job: string;
  readonly instance: string;
}

/** nodes/<node>, written by the node when it registers. */
export interface NodeRegistration {
  readonly id: string;
  /** What guests may use: the host's, less what is reserved. vCPUs are overcommitted by the node's own ratio. */
  readonly capacity: NodeResources;
  readonly version: string;
  readonly driver: RuntimeDriver;
  readonly accelerator: Accelerator;
  readonly acceleratorReason: string;
  readonly hypervisorVersion: string;
  readonly startTimeMs: number;
  readonly server: boolean;
  /** Undefined: it serves no metrics page. */
  readonly metrics: MetricsEndpoint | undefined;
}

export interface Node extends NodeRegistration {
  readonly alive: boolean;
  readonly cordoned: boolean;
}
