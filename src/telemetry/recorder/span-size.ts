import type { RecordedSpan, SpanAttributes, SpanAttributeValue } from "#model/recorded-span.ts";

const SPAN_OVERHEAD_BYTES = 400;
const ENTRY_OVERHEAD_BYTES = 48;

/** About how much memory a span holds, and a little more than its encoding takes. */
export function estimateSpanBytes(span: RecordedSpan): number {
  let bytes = SPAN_OVERHEAD_BYTES + 2 * span.name.length + 2 * (span.status.message?.length ?? 0);
  bytes += attributeBytes(span.attributes);
  for (const link of span.links) bytes += 4 * ENTRY_OVERHEAD_BYTES + attributeBytes(link.attributes);
  for (const event of span.events)
    bytes += 2 * ENTRY_OVERHEAD_BYTES + 2 * event.name.length + attributeBytes(event.attributes);
  return bytes;
}

function attributeBytes(attributes: SpanAttributes): number {
  let bytes = 0;
  for (const key in attributes) bytes += ENTRY_OVERHEAD_BYTES + 2 * key.length + valueBytes(attributes[key]);
  return bytes;
}

function valueBytes(value: SpanAttributeValue | undefined): number {
  if (typeof value === "string") return 2 * value.length;
  if (typeof value !== "object") return 8;
  let bytes = 0;
  for (const element of value) bytes += typeof element === "string" ? ENTRY_OVERHEAD_BYTES + 2 * element.length : 16;
  return bytes;
}
