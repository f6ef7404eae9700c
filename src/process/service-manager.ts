/**
 * Tells the service manager that started this process (systemd, `Type=notify`) how far it is.
 *
 * The protocol is one datagram to `$NOTIFY_SOCKET`, and Node has no datagram sockets of the unix family; so
 * systemd's own `systemd-notify` sends it, which is wherever systemd is. It speaks in the name of its parent,
 * this process, for which it needs the right to (root's CAP_SYS_ADMIN): then the unit can keep
 * `NotifyAccess=main` and takes nothing from guests. Without that right the unit needs `NotifyAccess=all`.
 */
import { BlixardError } from "#model/errors.ts";
import { findTool } from "./find-tool.ts";
import { runCommand } from "./run.ts";

export type ServiceState = "ready" | "stopping";

export interface NotifyOptions {
  /** `NOTIFY_SOCKET` and `PATH` of it count. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** One line for people: `systemctl status` shows it. */
  readonly status?: string;
}

const TIMEOUT_MS = 10_000;
const assignments: Readonly<Record<ServiceState, string>> = { ready: "READY=1", stopping: "STOPPING=1" };

/**
 * Does nothing where nobody waits for it.
 * @throws BlixardError TOOL_MISSING, INTERNAL: the service manager has not been told
 */
export async function notifyServiceManager(state: ServiceState, options: NotifyOptions): Promise<void> {
  const { NOTIFY_SOCKET: socket, PATH: path = "" } = options.environment;
  if (socket === undefined || socket === "") return;
  const { code, stderr } = await runCommand({
    command: findTool("systemd-notify", { path }),
    args: ["--no-block", assignments[state], ...(options.status === undefined ? [] : [`STATUS=${options.status}`])],
    environment: { PATH: path, NOTIFY_SOCKET: socket },
    timeoutMs: TIMEOUT_MS,
  });
  if (code !== 0) {
    throw new BlixardError("INTERNAL", `the service manager cannot be told ${assignments[state]}: ${stderr.trim()}`, {
      hint: "a unit whose service is not root's needs NotifyAccess=all",
    });
  }
}
