// What a run of the stack says of its backends, and whether it may succeed.

import { accessSync, constants } from "node:fs";
import { resolve } from "node:path";
import type { BackendName, Backends } from "#test/stack/support/backends.ts";

export interface BackendReport {
  /** A line for each backend: name, version, what became of it. */
  readonly lines: readonly string[];
  readonly failures: readonly string[];
}

export interface BackendReportInput {
  readonly backends: Backends;
  readonly used: ReadonlySet<string>;
  readonly allowedMissing: ReadonlySet<string>;
  /** Only then must each backend have been used. */
  readonly wholeRun: boolean;
}

export function reportBackends({ backends, used, allowedMissing, wholeRun }: BackendReportInput): BackendReport {
  const lines: string[] = [];
  const failures: string[] = [];
  for (const [name, backend] of Object.entries(backends)) {
    const version = "missing" in backend ? "-" : backend.version;
    let fate = "ran";
    if ("missing" in backend) {
      fate = `skipped: ${backend.missing}`;
      if (!allowedMissing.has(name)) failures.push(`${name} is missing; --allow-missing=${name} goes without it`);
    } else if (!used.has(name)) {
      fate = "skipped: no test of this run used it";
      if (wholeRun) failures.push(`${name} is there, but no test used it`);
    }
    lines.push(`${name.padEnd(18)} ${version.padEnd(10)} ${fate}`);
  }
  return { lines, failures };
}

/** @throws with the names there are when one is not among them */
export function parseBackendNames(text: string, known: readonly BackendName[]): ReadonlySet<BackendName> {
  const names = text.split(",").filter((name) => name !== "");
  for (const name of names) {
    if (!known.some((one) => one === name))
      throw new Error(`no backend is called ${name}; there are ${known.join(", ")}`);
  }
  return new Set(names as BackendName[]);
}

/** @throws when one has another form than NAME=PATH, or there is no program to run: what is named is meant */
export function parsePrograms(
  assignments: readonly string[],
  known: readonly BackendName[],
): ReadonlyMap<BackendName, string> {
  return new Map(
    assignments.map((assignment) => {
      const [text = "", ...path] = assignment.split("=");
      const [name] = parseBackendNames(text, known);
      if (name === undefined || path.length === 0) throw new Error(`--program wants NAME=PATH, not ${assignment}`);
      const program = resolve(path.join("="));
      try {
        accessSync(program, constants.X_OK);
      } catch (error) {
        throw new Error(`--program ${assignment}: no program can be run there`, { cause: error });
      }
      return [name, program];
    }),
  );
}
