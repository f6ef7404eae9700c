/**
 * Quantities as people write them: durations (`1m30s`, `250ms`) and sizes
 * (`256MiB`, `10GB`), to and from plain numbers.
 */

const DURATION_UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
const DURATION_PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;
const MAXIMUM_LENGTH = 64;

/** Milliseconds, rounded, or undefined when it is no duration. A unit is mandatory, except for `0`. */
export function parseDuration(text: string): number | undefined {
  if (text.length > MAXIMUM_LENGTH) return undefined;
  if (text === "0") return 0;
  if (!DURATION.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount = "", unit = ""] of text.matchAll(DURATION_PART))
    totalMs += Number(amount) * (DURATION_UNITS_MS[unit] ?? 0);
  return Number.isSafeInteger(Math.round(totalMs)) ? Math.round(totalMs) : undefined;
}

/** The shortest exact form that `parseDuration` reads: `90000` is `1m30s`. */
export function formatDuration(durationMs: number): string {
  if (durationMs <= 0) return "0s";
  let rest = Math.round(durationMs);
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const unitMs = DURATION_UNITS_MS[unit] ?? 1;
    const amount = Math.floor(rest / unitMs);
    if (amount > 0) text += `${amount}${unit}`;
    rest -= amount * unitMs;
  }
  return text === "" ? "0s" : text;
}

const SIZE_UNITS_BYTES: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1024,
  kib: 1024,
  kb: 1000,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  mb: 1000 ** 2,
  g: 1024 ** 3,
  gib: 1024 ** 3,
  gb: 1000 ** 3,
  t: 1024 ** 4,
  tib: 1024 ** 4,
  tb: 1000 ** 4,
};
const SIZE = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i;

/** Bytes, or undefined when it is no size or not a whole number of bytes. `M` alone means MiB, `MB` means 10^6. */
export function parseSize(text: string): number | undefined {
  if (text.length > MAXIMUM_LENGTH) return undefined;
  const match = SIZE.exec(text.trim());
  const unitBytes = SIZE_UNITS_BYTES[match?.[2]?.toLowerCase() ?? "?"];
  if (match === null || unitBytes === undefined) return undefined;
  const bytes = Number(match[1]) * unitBytes;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** Exact, as `parseSize` reads it: the largest binary unit that divides it. */
export function formatSize(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount !== 0 && amount % 1024 === 0 && unit < BINARY_UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${amount}${BINARY_UNITS[unit] ?? "B"}`;
}

/** For reading, with at most three digits: `1.4 GiB`. */
export function approximateSize(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 1000 && unit < BINARY_UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  const digits = unit === 0 || amount >= 100 ? 0 : amount >= 10 ? 1 : 2;
  return `${Number(amount.toFixed(digits))} ${BINARY_UNITS[unit] ?? "B"}`;
}
