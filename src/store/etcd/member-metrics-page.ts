/** A member's own metrics page, read over its unix socket: bounded, and forgiving about everything it does not know. */
import { request } from "node:http";
import { BlixardError } from "#model/errors.ts";

export interface Sample {
  /** With `_bucket`, `_sum`, `_count` where there are such. */
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

const MAXIMUM_PAGE_BYTES = 4 * 1024 * 1024;
const MAXIMUM_LINE_LENGTH = 4096;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

/** Samples whose name `wants` accepts; lines that cannot be read are skipped. Pure. */
export function parseMetricsPage(text: string, wants: (name: string) => boolean): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("#") || line.length > MAXIMUM_LINE_LENGTH) continue;
    const match = SAMPLE.exec(line);
    const [, name = "", labels = "", valueText = ""] = match ?? [];
    if (match === null || !wants(name)) continue;
    const value = parseValue(valueText);
    if (Number.isNaN(value)) continue;
    samples.push({ name, labels: parseLabels(labels), value });
  }
  return samples;
}

function parseValue(text: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  return text === "-Inf" ? Number.NEGATIVE_INFINITY : Number(text);
}

function parseLabels(text: string): ReadonlyMap<string, string> {
  return new Map([...text.matchAll(LABEL)].map(([, name = "", value = ""]) => [name, value.replace(/\\(.)/g, "$1")]));
}

/** @throws BlixardError STORE_UNAVAILABLE */
export function readMetricsPage(socketPath: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(new BlixardError("STORE_UNAVAILABLE", "the consensus member's metrics cannot be read", { cause }));
    const call = request({ socketPath, path: "/metrics", signal, headers: { host: "localhost" } }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes > MAXIMUM_PAGE_BYTES)
          response.destroy(new Error(`the page is larger than ${MAXIMUM_PAGE_BYTES} bytes`));
      });
      response.on("error", fail);
      response.on("end", () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString("utf8"));
        else fail(new Error(`status ${response.statusCode}`));
      });
    });
    call.on("error", fail);
    call.end();
  });
}
