/** Spans of one trace in the order of a tree, whatever their parents say: every span exactly once. */

export interface WaterfallSpan {
  readonly spanId: string;
  /** Empty on a root. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly service: string;
  readonly startUnixNano: bigint;
  readonly endUnixNano: bigint;
  readonly error: boolean;
  readonly statusMessage: string;
  /** Further lines below the span. */
  readonly notes: readonly string[];
}

export interface TreeRow {
  readonly span: WaterfallSpan;
  /** For each level above, whether more follows there; the last is the span's own. */
  readonly continues: readonly boolean[];
  /** It names a parent that is not among the spans. */
  readonly orphan: boolean;
  readonly hasChildren: boolean;
}

/** Depth first, siblings by start. Cycles are cut at their earliest span. */
export function orderSpans(spans: readonly WaterfallSpan[]): readonly TreeRow[] {
  const sorted = spans.toSorted(byStart);
  const byId = new Map(sorted.toReversed().map((span) => [span.spanId, span]));
  const children = Map.groupBy(sorted, ({ parentSpanId }) => parentSpanId);
  const visited = new Set<WaterfallSpan>();
  const rows: TreeRow[] = [];

  const visit = (root: WaterfallSpan): void => {
    const stack: { readonly span: WaterfallSpan; readonly continues: readonly boolean[] }[] = [
      { span: root, continues: [] },
    ];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const { span, continues } = next;
      if (visited.has(span)) continue;
      visited.add(span);
      // Of two spans with one id only the first has children.
      const own =
        byId.get(span.spanId) === span ? (children.get(span.spanId) ?? []).filter((child) => !visited.has(child)) : [];
      rows.push({
        span,
        continues,
        orphan: span.parentSpanId !== "" && !byId.has(span.parentSpanId),
        hasChildren: own.length > 0,
      });
      for (const [index, child] of own.toReversed().entries())
        stack.push({ span: child, continues: [...continues, index > 0] });
    }
  };
  for (const span of sorted) if (!byId.has(span.parentSpanId)) visit(span);
  for (const span of sorted) if (!visited.has(span)) visit(span);
  return rows;
}

function byStart(left: WaterfallSpan, right: WaterfallSpan): number {
  if (left.startUnixNano !== right.startUnixNano) return left.startUnixNano < right.startUnixNano ? -1 : 1;
  // What lasts longer is more likely the cause.
  return left.endUnixNano === right.endUnixNano ? 0 : left.endUnixNano > right.endUnixNano ? -1 : 1;
}
