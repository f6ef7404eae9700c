/**
 * Answers one scrape: negotiates, renders the page in slices and sends it as fast as
 * the scraper takes it, within a deadline. Only so many at the same time: a further
 * one gets 503 at once, since every page that waits holds memory.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { constants, createGzip } from "node:zlib";
import { telemetryScrapeDuration, telemetryScrapeRejected, telemetryScrapeSize } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import type { SpanAttributes } from "#model/recorded-span.ts";
import { acceptsGzip, negotiateFormat } from "../exposition/negotiation.ts";
import { renderPage } from "../exposition/page.ts";
import type { MetricsSource } from "../metrics/snapshot.ts";
import type { Metrics } from "../port.ts";

export interface ScrapeOptions {
  readonly source: MetricsSource;
  /** For the scrapes' own metrics. */
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Shown as `target_info`. */
  readonly resource: SpanAttributes;
  readonly commonLabels?: readonly (readonly [key: string, value: string])[];
  readonly created?: boolean;
  /** Scrapes served at the same time. */
  readonly maximumScrapes: number;
  /** From the request to the last byte. */
  readonly scrapeTimeoutMs: number;
}

export interface Scraper {
  /** Resolves when the answer is out or given up; never rejects. */
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

/** Longest time without a pause for others, about. */
const SLICE_MS = 4;
const RETRY_AFTER_SECONDS = "1";
const STREAM_BUFFER_BYTES = 262_144;

export function createScraper(options: ScrapeOptions): Scraper {
  const { metrics, clock } = options;
  let active = 0;

  function countRejected(reason: "busy" | "timeout" | "aborted"): void {
    metrics.bind(telemetryScrapeRejected, { "blixard.telemetry.rejection_reason": reason }).add(1);
  }

  async function send(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedMs = clock.monotonicMs();
    const { format, escaping, contentType } = negotiateFormat(request.headers.accept);
    const gzip = acceptsGzip(headerText(request.headers["accept-encoding"]));
    response.setHeader("Content-Type", contentType);
    response.setHeader("Vary", "Accept, Accept-Encoding");
    if (gzip) response.setHeader("Content-Encoding", "gzip");
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    const page = renderPage(options.source.families(), {
      format,
      escaping,
      resource: options.resource,
      ...(options.commonLabels === undefined ? {} : { commonLabels: options.commonLabels }),
      ...(options.created === undefined ? {} : { created: options.created }),
    });
    let pageBytes = 0;
    const chunks = Readable.from(
      inSlices(page, clock, (bytes) => (pageBytes += bytes)),
      { objectMode: false, highWaterMark: STREAM_BUFFER_BYTES },
    );
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), options.scrapeTimeoutMs);
    try {
      const { signal } = deadline;
      if (gzip) await pipeline(chunks, createGzip({ level: constants.Z_BEST_SPEED }), response, { signal });
      else await pipeline(chunks, response, { signal });
    } catch {
      // The scraper went away or was too slow: there is nobody to tell but the metrics.
      countRejected(deadline.signal.aborted ? "timeout" : "aborted");
      return;
    } finally {
      clearTimeout(timer);
    }
    const attributes = { "blixard.telemetry.format": format } as const;
    metrics.bind(telemetryScrapeDuration, attributes).record((clock.monotonicMs() - startedMs) / 1000);
    metrics.bind(telemetryScrapeSize, attributes).record(pageBytes);
  }

  return {
    async answer(request, response) {
      if (active >= options.maximumScrapes) {
        countRejected("busy");
        response.writeHead(503, { "Content-Type": "text/plain; charset=utf-8", "Retry-After": RETRY_AFTER_SECONDS });
        response.end(request.method === "HEAD" ? undefined : "too many scrapes at the same time\n");
        return;
      }
      active++;
      try {
        await send(request, response);
      } finally {
        active--;
      }
    },
  };
}

async function* inSlices(
  chunks: Iterable<Buffer>,
  clock: Clock,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer, void, void> {
  let sliceStartMs = clock.monotonicMs();
  for (const chunk of chunks) {
    count(chunk.length);
    yield chunk;
    if (clock.monotonicMs() - sliceStartMs < SLICE_MS) continue;
    await nextTurn();
    sliceStartMs = clock.monotonicMs();
  }
}

function headerText(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(",") : header;
}
