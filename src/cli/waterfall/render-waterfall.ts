/**
 * A trace as a waterfall: a tree with bars on one time axis, scaled to the width.
 * Pure. Says everything without colour: failed spans have a mark and their message.
 *
 *   SPAN                      SERVICE      DURATION
 *   blixard vm create         blixard-cli     2.31s  ██████████████████
 *   └─ VmService/CreateVm     blixard        12.1ms  █
 */
import { plainStyle, type Style } from "../output/style.ts";
import { displayWidth, fit, printable, truncate } from "../output/text.ts";
import { shortDuration } from "../output/time.ts";
import { orderSpans, type TreeRow, type WaterfallSpan } from "./span-tree.ts";

export interface WaterfallOptions {
  readonly width: number;
  readonly style?: Style;
  /** Box and block characters; else ASCII. */
  readonly unicode?: boolean;
}

interface Characters {
  readonly branch: string;
  readonly last: string;
  readonly pass: string;
  readonly gap: string;
  readonly orphan: string;
  readonly bar: string;
  readonly instant: string;
  readonly failed: string;
}

const UNICODE: Characters = {
  branch: "├─ ",
  last: "└─ ",
  pass: "│  ",
  gap: "   ",
  orphan: "┄ ",
  bar: "█",
  instant: "▏",
  failed: "✗",
};
const ASCII: Characters = {
  branch: "|- ",
  last: "`- ",
  pass: "|  ",
  gap: "   ",
  orphan: "~ ",
  bar: "#",
  instant: "|",
  failed: "x",
};

const MAXIMUM_SHOWN_DEPTH = 16;
const DURATION_WIDTH = 8;
const LEAST_BAR_WIDTH = 10;
const GAP = "  ";

/** Lines without newline, none wider than `width` (at least 20). */
export function renderWaterfall(spans: readonly WaterfallSpan[], options: WaterfallOptions): readonly string[] {
  const rows = orderSpans(spans);
  if (rows.length === 0) return [];
  const characters = options.unicode === false ? ASCII : UNICODE;
  const style = options.style ?? plainStyle;
  const axis = timeAxis(spans);
  const layout = chooseLayout(rows, characters, Math.max(20, options.width));
  const header = [
    fit("SPAN", layout.name),
    ...(layout.service === 0 ? [] : [fit("SERVICE", layout.service)]),
    fit("DURATION", DURATION_WIDTH, "right"),
  ];
  return [
    style("bold", header.join(GAP).trimEnd()),
    ...rows.flatMap((row) => [
      spanLine(row, layout, axis, characters, style),
      ...noteLines(row, layout, characters, style),
    ]),
  ];
}

interface Axis {
  readonly startUnixNano: bigint;
  readonly lengthNano: number;
}

function timeAxis(spans: readonly WaterfallSpan[]): Axis {
  let [start, end] = [spans[0]?.startUnixNano ?? 0n, spans[0]?.endUnixNano ?? 0n];
  for (const span of spans) {
    if (span.startUnixNano < start) start = span.startUnixNano;
    if (span.endUnixNano > end) end = span.endUnixNano;
  }
  return { startUnixNano: start, lengthNano: Math.max(1, Number(end - start)) };
}

interface Layout {
  readonly width: number;
  readonly name: number;
  /** 0: not shown. */
  readonly service: number;
  readonly bar: number;
}

/** Names get what they need up to half of the width, the bar gets the rest; the service goes first when it is narrow. */
function chooseLayout(rows: readonly TreeRow[], characters: Characters, width: number): Layout {
  const naturalName = Math.max(4, ...rows.map((row) => displayWidth(labelOf(row, characters))));
  const services = new Set(rows.map(({ span }) => span.service));
  const naturalService =
    services.size < 2 || width < 60
      ? 0
      : Math.min(16, Math.max(7, ...[...services].map((name) => displayWidth(printable(name)))));
  const serviceColumns = naturalService === 0 ? 0 : naturalService + GAP.length;
  const fixed = serviceColumns + DURATION_WIDTH + GAP.length;
  const room = width - fixed;
  const name = Math.max(4, Math.min(naturalName, Math.max(Math.floor(width / 2), room - 3 * LEAST_BAR_WIDTH), room));
  const bar = room - name - GAP.length;
  return { width, name, service: naturalService, bar: bar < LEAST_BAR_WIDTH ? 0 : bar };
}

function spanLine(row: TreeRow, layout: Layout, axis: Axis, characters: Characters, style: Style): string {
  const { span } = row;
  const duration = fit(shortDuration(durationMs(span)), DURATION_WIDTH, "right");
  const name = fit(labelOf(row, characters), layout.name);
  const cells = [
    span.error ? style("red", name) : name,
    ...(layout.service === 0 ? [] : [style("dim", fit(printable(span.service), layout.service))]),
    duration,
    ...(layout.bar === 0 ? [] : [style(span.error ? "red" : "cyan", barOf(span, layout.bar, axis, characters))]),
  ];
  return cells.join(GAP).trimEnd();
}

function durationMs(span: WaterfallSpan): number {
  return Number(span.endUnixNano - span.startUnixNano) / 1e6;
}

function labelOf({ span, continues, orphan }: TreeRow, characters: Characters): string {
  const mark = span.error ? `${characters.failed} ` : "";
  return `${guidesOf(continues, characters)}${orphan ? characters.orphan : ""}${mark}${printable(shortName(span.name))}`;
}

/** `blixard.v1.VmService/CreateVm` → `VmService/CreateVm` */
function shortName(name: string): string {
  return name.replace(/^(?:[a-z][\w]*\.)+(?=[A-Z]\w*\/)/, "");
}

function guidesOf(continues: readonly boolean[], { branch, last, pass, gap }: Characters): string {
  const shown = continues.length <= MAXIMUM_SHOWN_DEPTH ? continues : continues.slice(-MAXIMUM_SHOWN_DEPTH);
  const own = shown.at(-1);
  if (own === undefined) return "";
  return `${shown
    .slice(0, -1)
    .map((more) => (more ? pass : gap))
    .join("")}${own ? branch : last}`;
}

function barOf(span: WaterfallSpan, width: number, axis: Axis, { bar, instant }: Characters): string {
  const position = (time: bigint): number => (Number(time - axis.startUnixNano) / axis.lengthNano) * width;
  const start = Math.min(width - 1, Math.max(0, Math.floor(position(span.startUnixNano))));
  const exactEnd = position(span.endUnixNano);
  const cells = Math.min(width, Math.round(exactEnd)) - start;
  return `${" ".repeat(start)}${cells < 1 ? instant : bar.repeat(cells)}`;
}

/** The failure's message and notes, below the span and under its guides. */
function noteLines(
  { span, continues, hasChildren }: TreeRow,
  layout: Layout,
  characters: Characters,
  style: Style,
): readonly string[] {
  const levels = continues.slice(-MAXIMUM_SHOWN_DEPTH).map((more) => (more ? characters.pass : characters.gap));
  const indent = truncate(
    `${levels.join("")}${hasChildren ? characters.pass : characters.gap}`,
    Math.floor(layout.width / 2),
  );
  const room = layout.width - displayWidth(indent);
  const message =
    span.error && span.statusMessage !== "" ? [style("red", truncate(printable(span.statusMessage), room))] : [];
  return [...message, ...span.notes.map((note) => style("dim", truncate(printable(note), room)))].map(
    (text) => `${indent}${text}`,
  );
}
