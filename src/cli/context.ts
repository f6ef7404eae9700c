/** What every command is given. */
import type { NodeConnection } from "./client/node-connection.ts";
import type { CliIo } from "./io.ts";
import type { Printer } from "./output/printer.ts";
import type { CommandTrace } from "./trace/command-trace.ts";

export interface CommandContext {
  readonly io: CliIo;
  readonly printer: Printer;
  /** The node that was asked for; nothing is connected before the first call. */
  readonly node: NodeConnection;
  readonly trace: CommandTrace;
  /** Aborted on Ctrl-C. */
  readonly signal: AbortSignal;
}
