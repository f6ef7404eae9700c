// A trace as a picture, for the README:
//
//   blixard vm trace NAME -o json | node_modules/.bin/node scripts/draw-trace.ts > docs/images/trace.svg
//
// The same tree as `blixard vm trace`, on a linear time axis. Plain SVG without scripts or fonts of its own, in the
// reader's light or dark colours.

import { text } from "node:stream/consumers";
import { fromJsonString } from "@bufbuild/protobuf";
import { shortDuration } from "../src/cli/output/time.ts";
import { orderSpans, type TreeRow } from "../src/cli/waterfall/span-tree.ts";
import { type GetTraceResponse, GetTraceResponseSchema, type Span } from "../src/gen/api/blixard/v1/telemetry_pb.ts";

interface Part {
  readonly key: string;
  readonly label: string;
  readonly light: string;
  readonly dark: string;
  readonly owns: (span: Span) => boolean;
}

/** Who did the work of a span: the first that owns it. */
const parts: readonly Part[] = [
  part("cli", "CLI", ["#8250df", "#b083f0"], ({ service }) => service.endsWith("-cli")),
  part("etcd", "etcd", ["#bf8700", "#e0b040"], ({ attributes }) => attributes["db.system.name"] !== undefined),
  part("guest", "guest", ["#1a7f37", "#46c25c"], ({ name }) => name.startsWith("guest.")),
  part("qemu", "guardian, QEMU", ["#cf4a12", "#f5854f"], ({ name }) => /^(guardian|qemu)\./.test(name)),
  part("control", "API, scheduler", ["#0969da", "#57a5ff"], ({ name }) => /^vm\.(admit|place)$|\//.test(name)),
  part("agent", "agent, images", ["#0b8a8f", "#3ccbd0"], () => true),
];
/** As they follow each other when a VM is made. */
const legendOrder = ["cli", "control", "etcd", "agent", "qemu", "guest"];

const WIDTH = 1040;
const MARGIN = 24;
const HEADER = 92;
const ROW = 25;
const INDENT = 18;
const AXIS_X = 330;
const BAR_HEIGHT = 13;
const LEAST_BAR = 3;
/** A label to the right of its bar needs so much room. */
const LABEL_ROOM = 56;
const AXIS_WIDTH = WIDTH - MARGIN - LABEL_ROOM - AXIS_X;

/** @throws TypeError when the trace has no spans */
export function drawTrace({ traceId, spans }: GetTraceResponse): string {
  if (spans.length === 0) throw new TypeError("the trace has no spans");
  const start = spans.reduce((least, span) => min(least, span.startTimeUnixNano), spans[0]?.startTimeUnixNano ?? 0n);
  const end = spans.reduce((most, span) => max(most, span.endTimeUnixNano), start);
  const lengthMs = Math.max(Number(end - start) / 1e6, 0.001);
  const scale = AXIS_WIDTH / lengthMs;
  const bySpanId = new Map(spans.map((span) => [span.spanId, span]));
  const rows = orderSpans(spans.map(toTreeSpan));
  const height = HEADER + rows.length * ROW + 40;
  const root = rows[0]?.span.name ?? "";
  const title = `${root}: ${spans.length} spans, ${shortDuration(lengthMs)}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title">`,
    `<title id="title">${escape(title)}</title>`,
    `<style>${styles()}</style>`,
    `<rect class="page" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="10"/>`,
    `<text class="head" x="${MARGIN}" y="36">${escape(root)}</text>`,
    `<text class="note" x="${WIDTH - MARGIN}" y="36" text-anchor="end">${spans.length} spans · ${shortDuration(lengthMs)} · trace ${escape(traceId)}</text>`,
    ...legend(new Set(spans.map((span) => partOf(span).key))),
    ...rows
      .keys()
      .filter((index) => index % 2 === 0)
      .map(band),
    ...grid(lengthMs, scale, height),
    ...rows.flatMap((row, index) => drawRow(row, index, bySpanId.get(row.span.spanId), start, scale)),
    "</svg>",
    "",
  ].join("\n");
}

function drawRow(row: TreeRow, index: number, span: Span | undefined, start: bigint, scale: number): string[] {
  if (span === undefined) return [];
  const y = HEADER + index * ROW;
  const middle = y + ROW / 2;
  const depth = row.continues.length;
  const nameX = MARGIN + depth * INDENT;
  const barX = AXIS_X + (Number(span.startTimeUnixNano - start) / 1e6) * scale;
  const durationMs = Number(span.endTimeUnixNano - span.startTimeUnixNano) / 1e6;
  const barWidth = Math.max(LEAST_BAR, durationMs * scale);
  const { key } = partOf(span);
  const name = `${span.error ? "✗ " : ""}${shortName(span.name)}`;
  return [
    ...guides(row.continues, y),
    `<text class="name" x="${nameX}" y="${round(middle + 4.5)}">${escape(name)}</text>`,
    `<rect class="${key}" x="${round(barX)}" y="${round(middle - BAR_HEIGHT / 2)}" width="${round(barWidth)}" height="${BAR_HEIGHT}" rx="2.5"><title>${escape(`${span.name} ${shortDuration(durationMs)}`)}</title></rect>`,
    `<text class="time" x="${round(barX + barWidth + 7)}" y="${round(middle + 4)}">${shortDuration(durationMs)}</text>`,
  ];
}

function band(index: number): string {
  return `<rect class="band" x="8" y="${HEADER + index * ROW}" width="${WIDTH - 16}" height="${ROW}" rx="4"/>`;
}

/** The lines of the tree left of a name. */
function guides(continues: readonly boolean[], y: number): string[] {
  return continues.flatMap((more, level) => {
    const x = MARGIN + level * INDENT + 5;
    const isOwn = level === continues.length - 1;
    const bottom = more ? y + ROW : y + ROW / 2;
    if (!isOwn) return more ? [`<path class="guide" d="M${x} ${y}V${y + ROW}"/>`] : [];
    return [`<path class="guide" d="M${x} ${y}V${bottom}M${x} ${y + ROW / 2}h9"/>`];
  });
}

function legend(present: ReadonlySet<string>): string[] {
  let x = MARGIN;
  return legendOrder.flatMap((key) => {
    const label = parts.find((candidate) => candidate.key === key)?.label;
    if (label === undefined || !present.has(key)) return [];
    const at = round(x);
    x += 40 + label.length * 6.6;
    return [
      `<rect class="${key}" x="${at}" y="55" width="12" height="12" rx="3"/>`,
      `<text class="note" x="${round(at + 18)}" y="65.5">${escape(label)}</text>`,
    ];
  });
}

function grid(lengthMs: number, scale: number, height: number): string[] {
  const stepMs = gridStep(lengthMs);
  const lines: string[] = [];
  for (let timeMs = 0; timeMs <= lengthMs; timeMs += stepMs) {
    const x = round(AXIS_X + timeMs * scale);
    lines.push(
      `<path class="grid" d="M${x} ${HEADER}V${height - 34}"/>`,
      `<text class="time" x="${x}" y="${height - 16}" text-anchor="middle">${axisLabel(timeMs, lengthMs)}</text>`,
    );
  }
  return lines;
}

/** 1, 2 or 5 times a power of ten, for four to ten lines. */
function gridStep(lengthMs: number): number {
  const power = 10 ** Math.floor(Math.log10(lengthMs / 4));
  return [5, 2, 1].map((factor) => factor * power).find((step) => lengthMs / step >= 4) ?? power;
}

function axisLabel(timeMs: number, lengthMs: number): string {
  if (timeMs === 0) return "0";
  return lengthMs >= 1000 ? `${round(timeMs / 1000)} s` : `${round(timeMs)} ms`;
}

function styles(): string {
  const colours = (choose: (part: Part) => string): string =>
    parts.map((each) => `.${each.key}{fill:${choose(each)}}`).join("");
  const sans = "ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif";
  const mono = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace";
  return [
    `text{font-family:${sans};fill:#1f2328}`,
    `.head{font:600 17px ${mono}}.name{font:12.5px ${mono}}.note{font-size:12.5px;fill:#59636e}.time{font-size:11.5px;fill:#59636e;font-variant-numeric:tabular-nums}`,
    ".page{fill:#fff;stroke:#d1d9e0}.band{fill:#f6f8fa}.guide,.grid{fill:none;stroke:#d1d9e0}.grid{stroke-dasharray:2 4}",
    colours(({ light }) => light),
    "@media (prefers-color-scheme:dark){",
    "text{fill:#e6edf3}.note,.time{fill:#9198a1}.page{fill:#0d1117;stroke:#30363d}.band{fill:#151b23}.guide,.grid{stroke:#3d444d}",
    colours(({ dark }) => dark),
    "}",
  ].join("");
}

function toTreeSpan(span: Span) {
  return {
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    name: span.name,
    service: span.service,
    startUnixNano: span.startTimeUnixNano,
    endUnixNano: span.endTimeUnixNano,
    error: span.error,
    statusMessage: span.statusMessage,
    notes: [],
  };
}

function part(key: string, label: string, [light, dark]: readonly [string, string], owns: Part["owns"]): Part {
  return { key, label, light, dark, owns };
}

function partOf(span: Span): Part {
  const found = parts.find(({ owns }) => owns(span));
  if (found === undefined) throw new TypeError("the last part owns every span");
  return found;
}

/** `blixard.v1.VmService/CreateVm` → `CreateVm` */
function shortName(name: string): string {
  return name.replace(/^[\w.]+\/(?=\w+$)/, "");
}

function escape(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function round(value: number): number {
  return Number(value.toFixed(1));
}

function min(left: bigint, right: bigint): bigint {
  return left < right ? left : right;
}

function max(left: bigint, right: bigint): bigint {
  return left > right ? left : right;
}

if (import.meta.main) {
  process.stdout.write(drawTrace(fromJsonString(GetTraceResponseSchema, await text(process.stdin))));
}
