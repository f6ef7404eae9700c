/**
 * What is wrong with a configuration: every problem with its place, the offending
 * text (never a secret's) and a suggestion, all in one error.
 */
import { BlixardError } from "#model/errors.ts";

export type Place =
  | {
      readonly kind: "file";
      readonly file: string;
      readonly line: number;
      readonly column: number;
      /** The variable that named the file, where none of our flags did. */
      readonly variable?: string;
    }
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "flag"; readonly flag: string };

export interface Problem {
  readonly place: Place;
  /** The key's full path, when one is concerned. */
  readonly key?: string;
  /** What is wrong and what is expected, without the offending text. */
  readonly message: string;
  /** The offending text as it was written, shortened. */
  readonly text?: string;
  /** What was probably meant. */
  readonly suggestion?: string;
}

/** More would only hide the first. */
export const MAXIMUM_SHOWN_PROBLEMS = 50;

/** The configuration is wrong; `problems` has everything that is. */
export class ConfigError extends BlixardError {
  readonly problems: readonly Problem[];

  constructor(subject: string, problems: readonly Problem[]) {
    const sorted = problems.toSorted(byPlace);
    const count = sorted.length === 1 ? "1 problem" : `${sorted.length} problems`;
    const shown = sorted.slice(0, MAXIMUM_SHOWN_PROBLEMS).map((problem) => `  ${formatProblem(problem)}`);
    const rest = sorted.length - shown.length;
    const more = rest === 0 ? [] : [`  … and ${rest} more`];
    super("CONFIG_INVALID", `${subject} has ${count}:\n${[...shown, ...more].join("\n")}`, {
      hint: "Mend what is listed; nothing was started.",
    });
    this.problems = sorted;
  }
}

/** One line: `node.toml:3:8: node.bind: expected …, found "x"; did you mean "y"?` */
export function formatProblem(problem: Problem): string {
  const key = problem.key === undefined ? "" : `${problem.key}: `;
  const text = problem.text === undefined ? "" : `, found ${problem.text}`;
  const suggestion = problem.suggestion === undefined ? "" : `; did you mean ${problem.suggestion}?`;
  return `${formatPlace(problem.place)}: ${key}${problem.message}${text}${suggestion}`;
}

export function formatPlace(place: Place): string {
  switch (place.kind) {
    case "file":
      return `${place.variable === undefined ? "" : `${place.variable} `}${place.file}:${place.line}:${place.column}`;
    case "environment":
      return `environment ${place.variable}`;
    case "flag":
      return `flag ${place.flag}`;
  }
}

const MAXIMUM_SHOWN_LENGTH = 60;

/** Foreign text made fit to show: one line, no control characters, at most 60 characters. */
export function shorten(text: string): string {
  const clean = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").trim();
  return clean.length <= MAXIMUM_SHOWN_LENGTH ? clean : `${clean.slice(0, MAXIMUM_SHOWN_LENGTH - 1)}…`;
}

const PLACE_ORDER = { file: 0, environment: 1, flag: 2 } as const;

function byPlace(left: Problem, right: Problem): number {
  if (left.place.kind === "file" && right.place.kind === "file") {
    if (left.place.file !== right.place.file) return left.place.file < right.place.file ? -1 : 1;
    return left.place.line - right.place.line || left.place.column - right.place.column;
  }
  return PLACE_ORDER[left.place.kind] - PLACE_ORDER[right.place.kind];
}
