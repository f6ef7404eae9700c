/** A diagnosis for people: a heading for each target, a line for each check, the fix below what needs one. */
import { durationMs } from "@bufbuild/protobuf/wkt";
import { CheckOutcome, type TelemetryCheck, type TelemetryDiagnosis } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { plainStyle, type Style, type StyleName } from "../../output/style.ts";
import type { TableLayout } from "../../output/table.ts";
import { displayWidth, fit, printable } from "../../output/text.ts";
import { shortDuration } from "../../output/time.ts";

type Word = readonly [text: string, style: StyleName];
const words: Readonly<Partial<Record<CheckOutcome, Word>>> = {
  [CheckOutcome.OK]: ["ok", "green"],
  [CheckOutcome.WARNING]: ["warning", "yellow"],
  [CheckOutcome.FAILED]: ["failed", "red"],
  [CheckOutcome.SKIPPED]: ["skipped", "dim"],
};
const unknownWord: Word = ["?", "dim"];
const OUTCOME_WIDTH = 7;
const SIGNAL_WIDTH = 7;
const STEP_WIDTH = "configuration".length;
const TIME_WIDTH = 6;
/** A message gets no less, however narrow the terminal. */
const LEAST_MESSAGE_WIDTH = 24;

export class DoctorView {
  readonly #width: number | undefined;
  readonly #style: Style;
  #target: string | undefined;
  readonly #fixesTold = new Set<string>();
  /** Whether there are canaries to look for. */
  #sent = false;

  constructor({ width, style = plainStyle }: TableLayout) {
    this.#width = width;
    this.#style = style;
  }

  check(check: TelemetryCheck): readonly string[] {
    this.#sent ||= check.step === "acknowledge";
    const [word, colour] = words[check.outcome] ?? unknownWord;
    const columns = [
      this.#style(colour, fit(word, OUTCOME_WIDTH)),
      fit(printable(check.step), STEP_WIDTH),
      fit(printable(check.signal), SIGNAL_WIDTH),
      this.#style("dim", fit(timeOf(check), TIME_WIDTH, "right")),
    ];
    const indent = " ".repeat(2 + OUTCOME_WIDTH + STEP_WIDTH + SIGNAL_WIDTH + TIME_WIDTH + 4 * 2);
    const [first = "", ...rest] = this.#wrapped(check.message, indent);
    return [
      ...this.#heading(check.target),
      `  ${columns.join("  ")}  ${first}`.trimEnd(),
      ...rest.map((line) => indent + line),
      ...this.#fix(check, indent, (text) => this.#style("bold", text)),
    ];
  }

  diagnosis({ ok, warnings, failed, skipped, outcome, traceId }: TelemetryDiagnosis): readonly string[] {
    const [word, colour] = words[outcome] ?? unknownWord;
    const counts = [
      `${ok} ok`,
      `${warnings} ${warnings === 1 ? "warning" : "warnings"}`,
      `${failed} failed`,
      `${skipped} skipped`,
    ].join(", ");
    const trace = this.#sent ? ` The canaries' trace is ${printable(traceId)}.` : "";
    return ["", `${this.#style(colour, word)}: ${counts}.${trace}`];
  }

  #heading(target: string): readonly string[] {
    if (target === this.#target) return [];
    const isFirst = this.#target === undefined;
    this.#target = target;
    return [...(isFirst ? [] : [""]), this.#style("bold", printable(target))];
  }

  /** Each fix once: three signals that fail of the same need one. */
  #fix({ finding, fix }: TelemetryCheck, indent: string, emphasize: (text: string) => string): readonly string[] {
    if (finding === "") return [];
    const told = this.#fixesTold.has(fix);
    this.#fixesTold.add(fix);
    const [first = "", ...rest] = this.#wrapped(told ? `${finding}: as above` : `${finding}: ${fix}`, indent);
    return [indent + first.replace(finding, emphasize), ...rest.map((line) => indent + line)];
  }

  #wrapped(text: string, indent: string): readonly string[] {
    const shown = printable(text);
    return this.#width === undefined
      ? [shown]
      : wrap(shown, Math.max(LEAST_MESSAGE_WIDTH, this.#width - indent.length));
  }
}

function timeOf({ duration }: TelemetryCheck): string {
  const timeMs = duration === undefined ? 0 : durationMs(duration);
  return timeMs > 0 ? shortDuration(timeMs) : "";
}

/** At spaces; a word that is too long stands alone, whole: it may be a URL to copy. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && displayWidth(line) + 1 + displayWidth(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
