/** Tables that fit the terminal: columns as wide as their content, the widest ones cut when there is no room. */
import { plainStyle, type Style, type StyleName } from "./style.ts";
import { displayWidth, fit, printable } from "./text.ts";

export interface Column<Row> {
  readonly title: string;
  readonly align?: "left" | "right";
  value(row: Row): string;
  style?(row: Row): StyleName | undefined;
}

export interface TableLayout {
  /** Undefined: as wide as needed, for files and pipes. */
  readonly width: number | undefined;
  readonly style?: Style;
}

const GAP = "  ";
const LEAST_WIDTH = 4;

/** Lines without newline; the first is the header. Columns that are empty in every row are left out. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], layout: TableLayout): string[] {
  const style = layout.style ?? plainStyle;
  const shown = columns
    .map((column) => ({ column, cells: rows.map((row) => printable(column.value(row))) }))
    .filter(({ cells }, index) => index === 0 || cells.some((cell) => cell !== ""));
  const widths = fitWidths(
    shown.map(({ column, cells }) => Math.max(displayWidth(column.title), ...cells.map(displayWidth))),
    layout.width,
  );
  const line = (cell: (index: number) => string): string =>
    shown
      .map((_, index) => cell(index))
      .join(GAP)
      .trimEnd();
  const header = line((index) => fit(shown[index]?.column.title ?? "", widths[index] ?? 0, shown[index]?.column.align));
  return [
    style("bold", header),
    ...rows.map((row, rowIndex) =>
      line((index) => {
        const entry = shown[index];
        if (entry === undefined) return "";
        const text = fit(entry.cells[rowIndex] ?? "", widths[index] ?? 0, entry.column.align);
        const name = entry.column.style?.(row);
        return name === undefined ? text : style(name, text);
      }),
    ),
  ];
}

/** Takes from the widest column until the line fits. */
function fitWidths(natural: readonly number[], available: number | undefined): number[] {
  const widths = [...natural];
  if (available === undefined) return widths;
  const gaps = GAP.length * Math.max(0, widths.length - 1);
  let excess = widths.reduce((sum, width) => sum + width, gaps) - available;
  while (excess > 0) {
    const widest = Math.max(...widths);
    if (widest <= LEAST_WIDTH) break;
    widths[widths.lastIndexOf(widest)] = widest - 1;
    excess--;
  }
  return widths;
}

/** `name  value` lines, for one thing with many properties. Empty values are left out. */
export function renderProperties(properties: readonly (readonly [string, string])[], layout: TableLayout): string[] {
  const style = layout.style ?? plainStyle;
  const present = properties.filter(([, value]) => value !== "");
  const width = Math.max(0, ...present.map(([name]) => displayWidth(name)));
  return present.map(([name, value]) => `${style("bold", fit(name, width))}${GAP}${printable(value)}`);
}
