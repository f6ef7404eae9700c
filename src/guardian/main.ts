/**
 * Entry of the guardian's process: arguments in, one line out when it serves or cannot.
 *
 * The daemon reads that line from the guardian it starts. As a service (`--service`) people read it, and the
 * service manager is told.
 */
import { parseArgs } from "node:util";
import { BlixardError } from "#model/errors.ts";
import { readBootId, readIdentity, readUptimeSeconds } from "#process/identity.ts";
import { notifyServiceManager, type ServiceState } from "#process/service-manager.ts";
import { type Guardian, startGuardian } from "./guardian.ts";
import { encodeLine } from "./protocol.ts";
import { toStorageError } from "./storage-error.ts";

// It lives long: the host's clock of now, as set since, is what daemons compare with.
const now = (): number => Date.now();

const SIGTERM_EXIT_CODE = 143;

/** Known before the arguments are checked: it says to whom their mistakes are told. */
const isService = process.argv.includes("--service");

let guardian: Guardian | undefined;
let lastWord: Promise<void> | undefined;

/** Its guests die with it: once it serves, it goes on whatever goes wrong inside. */
function survive(what: string, error: unknown): void {
  if (guardian === undefined) throw error;
  guardian.log.write(what, {}, error);
}

function stop(signal: NodeJS.Signals): void {
  // Before it serves it has no guests.
  if (guardian === undefined) process.exit(SIGTERM_EXIT_CODE);
  lastWord ??= tell(guardian, "stopping");
  guardian.stop(signal);
}

process.on("uncaughtException", (error) => survive("uncaught exception", error));
process.on("unhandledRejection", (error) => survive("unhandled rejection", error));
process.on("SIGHUP", () => {});
process.on("SIGTERM", stop);
process.on("SIGINT", stop);

try {
  const started = await startFromArguments();
  guardian = started;
  process.stdout.write(isService ? `the guardian serves, pid ${process.pid}\n` : encodeLine({ ready: true }));
  await tell(started, "ready");
  await started.ended;
  // Who tells it for us would die with us.
  await lastWord;
  process.exit(0);
} catch (error) {
  const { code, message, hint } = toStorageError(error, "the guardian cannot start");
  // 2 is an operator's, as `node run` has it.
  if (isService) {
    const text = `${code}: ${message}${hint === undefined ? "" : `\n${hint}`}\n`;
    process.stderr.write(text, () => process.exit(2));
  } else {
    process.stdout.write(encodeLine({ error: { code, message, hint } }), () => process.exit(1));
  }
}

async function tell({ log }: Guardian, state: ServiceState): Promise<void> {
  if (!isService) return;
  await notifyServiceManager(state, { environment: process.env }).catch((error: unknown) =>
    log.write("the service manager cannot be told", { state }, error),
  );
}

function startFromArguments(): Promise<Guardian> {
  const { values } = parseArgs({
    options: {
      "state-dir": { type: "string" },
      socket: { type: "string" },
      service: { type: "boolean" },
      "idle-timeout-ms": { type: "string", default: "60000" },
      // For tests: another boot, another clock.
      "boot-id": { type: "string", default: readBootId() },
      "uptime-file": { type: "string", default: "/proc/uptime" },
    },
  });
  const identity = readIdentity(process.pid);
  const stateDir = values["state-dir"];
  const socketPath = values.socket;
  if (identity === undefined || stateDir === undefined || socketPath === undefined) {
    throw new BlixardError("USAGE", "usage: guardian --state-dir DIR --socket PATH");
  }
  return startGuardian({
    stateDir,
    socketPath,
    identity,
    bootId: values["boot-id"],
    idleTimeoutMs: isService ? undefined : Number(values["idle-timeout-ms"]),
    now,
    readUptimeSeconds: () => readUptimeSeconds(values["uptime-file"]),
  });
}
