/** What every part of a node is made from. */
import type { Config } from "#config/config.ts";
import type { Clock } from "#model/clock.ts";
import type { FindToolOptions } from "#process/find-tool.ts";
import type { NodeIdentity } from "./data-directory.ts";

export interface NodeEnvironment {
  readonly config: Config;
  readonly version: string;
  readonly identity: NodeIdentity;
  /** Fresh for every start of the daemon. */
  readonly instanceId: string;
  /** Sockets and `endpoints.json`; short. */
  readonly runDirectory: string;
  readonly tools: FindToolOptions;
  readonly clock: Clock;
  /** Between 0 (inclusive) and 1. */
  readonly random: () => number;
}
