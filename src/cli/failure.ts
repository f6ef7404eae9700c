/** How a failed command ends: what it says on stderr, and its exit code. */
import { BlixardError, causeChain, toBlixardError } from "#model/errors.ts";
import { printable } from "./output/text.ts";
import type { Style } from "./output/style.ts";

/**
 * 0 done · 1 your fault (the request) · 2 usage or configuration · 3 our fault, or
 * the node cannot be reached · 4 timed out while waiting · 130 interrupted.
 */
export const exitCodes = { done: 0, yourFault: 1, usage: 2, ourFault: 3, timedOut: 4, interrupted: 130 } as const;

/** `--wait` took longer than `--timeout`: what was asked for goes on. */
export class WaitTimeoutError extends BlixardError {
  constructor(message: string, hint: string) {
    super("DEADLINE_EXCEEDED", message, { hint });
  }
}

/** Ctrl-C. */
export class InterruptedError extends Error {}

/**
 * A user's error is 1. What an operator must mend on this machine before a command
 * or a node can start is 2. All else is 3, also an unreachable node: trying again
 * may help, changing the request will not.
 */
export function exitCodeOf(error: unknown): number {
  if (error instanceof InterruptedError) return exitCodes.interrupted;
  if (error instanceof WaitTimeoutError) return exitCodes.timedOut;
  const { code, fault } = toBlixardError(error);
  if (code === "USAGE") return exitCodes.usage;
  if (code === "NODE_UNREACHABLE") return exitCodes.ourFault;
  if (fault === "user") return exitCodes.yourFault;
  return fault === "operator" ? exitCodes.usage : exitCodes.ourFault;
}

/** For people: the message with its code, every cause once, and what to do next. */
export function renderFailure(error: unknown, style: Style): readonly string[] {
  const { code, hint, message } = describe(error);
  const [first = "", ...more] = message.split("\n");
  const causes = causeChain(error).slice(1);
  return [
    `${style("red", "error:")} ${printable(first.replace(/:$/, ""))} ${style("dim", `(${code})`)}${first.endsWith(":") ? ":" : ""}`,
    ...more.map(printable),
    ...causes.map((cause) => `  caused by: ${printable(cause)}`),
    ...(hint === undefined ? [] : [`  ${style("bold", "next:")} ${printable(hint)}`]),
  ];
}

/** For programs: one line. */
export function failureAsJson(error: unknown): string {
  const { code, hint, field, fault, message } = describe(error);
  const causes = causeChain(error).slice(1);
  return JSON.stringify({ error: { code, message, causes, hint, field, fault, exitCode: exitCodeOf(error) } });
}

function describe(error: unknown): BlixardError {
  if (error instanceof BlixardError) return error;
  const hint =
    "This is a defect of Blixard: please report it, with the output of the same command under BLIXARD_DEBUG=1.";
  return new BlixardError("INTERNAL", toBlixardError(error).message, {
    cause: error instanceof Error ? error.cause : undefined,
    hint,
  });
}
