/** Entry of the guardian's process: arguments in, one line out when it serves or cannot. */
import { parseArgs } from "node:util";
import { BlixardError } from "#model/errors.ts";
import { readBootId, readIdentity, readUptimeSeconds } from "#process/identity.ts";
import { type Guardian, startGuardian } from "./guardian.ts";
import { encodeLine } from "./protocol.ts";
import { toStorageError } from "./storage-error.ts";

// It lives long: the host's clock of now, as set since, is what daemons compare with.
const now = (): number => Date.now();

let guardian: Guardian | undefined;

/** Its guests die with it: once it serves, it goes on whatever goes wrong inside. */
function survive(what: string, error: unknown): void {
  if (guardian === undefined) throw error;
  guardian.log.write(what, {}, error);
}

process.on("uncaughtException", (error) => survive("uncaught exception", error));
process.on("unhandledRejection", (error) => survive("unhandled rejection", error));
process.on("SIGHUP", () => {});
process.on("SIGTERM", () => guardian?.stop("SIGTERM"));
process.on("SIGINT", () => guardian?.stop("SIGINT"));

try {
  guardian = await startFromArguments();
  process.stdout.write(encodeLine({ ready: true }));
  await guardian.ended;
  process.exit(0);
} catch (error) {
  const { code, message, hint } = toStorageError(error, "the guardian cannot start");
  process.stdout.write(encodeLine({ error: { code, message, hint } }), () => process.exit(1));
}

function startFromArguments(): Promise<Guardian> {
  const { values } = parseArgs({
    options: {
      "state-dir": { type: "string" },
      socket: { type: "string" },
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
    idleTimeoutMs: Number(values["idle-timeout-ms"]),
    now,
    readUptimeSeconds: () => readUptimeSeconds(values["uptime-file"]),
  });
}
