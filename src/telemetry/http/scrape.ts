/**
 * Answers one scrape: negotiates, renders the page in slices and sends it as fast as
 * the scraper takes it, within a deadline. Scrapers that come at about the same time
 * and want the same format and coding share one rendering. Only so many at the same
 * time, and no client has all the places: a further one gets 503 at once.
 *
 *   place ──→ shared page (joined, or begun) ──→ chunks ──→ end
 *     └ none: 503       cut: deadline · stalled and needed by another · fell behind · went away
 */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline, Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { constants, createGzip } from "node:zlib";
import { telemetryScrapeDuration, telemetryScrapeRejected, telemetryScrapeSize } from "#gen/telemetry/metrics.ts";
import type { Clock } from "#model/clock.ts";
import {
  type ContentCoding,
  negotiateCoding,
  type NegotiatedFormat,
  negotiateFormat,
} from "../exposition/negotiation.ts";
import { type PageOptions, renderPage } from "../exposition/page.ts";
import type { MetricsSource } from "../metrics/snapshot.ts";
import type { Metrics } from "../port.ts";
import { createScrapeSlots, type ScrapeSlot } from "./scrape-slots.ts";
import { SharedPage } from "./shared-page.ts";

export interface ScrapeOptions extends Pick<PageOptions, "resource" | "scopeLabels" | "created" | "onConflict"> {
  readonly source: MetricsSource;
  /** For the scrapes' own metrics. */
  readonly metrics: Metrics;
  readonly clock: Clock;
}

export interface ScrapeLimits {
  /** Scrapes served at the same time. */
  readonly maximumScrapes: number;
  readonly maximumScrapesPerClient: number;
  /** From the request to the last byte. A scraper's own timeout counts when it is shorter. */
  readonly scrapeTimeoutMs: number;
  /** A scraper that took nothing for this long loses its place when another needs one. */
  readonly stallMs: number;
  /** How old a rendering may be when one more joins it. */
  readonly joinMs: number;
  /** How far a scraper may be behind one that shares its page. */
  readonly maximumLagBytes: number;
}

export interface Scraper {
  /** Resolves when the answer is out or given up; never rejects. */
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

type RejectionReason = "busy" | "timeout" | "aborted" | "stalled";

interface Rendering {
  readonly page: SharedPage;
  readonly startedMs: number;
  /** Before compression. */
  pageBytes: number;
}

/** Longest time without a pause for others, about. */
const SLICE_MS = 2;
const RETRY_AFTER_SECONDS = "1";
const STREAM_BUFFER_BYTES = 262_144;

export function createScraper(options: ScrapeOptions & ScrapeLimits): Scraper {
  const { metrics, clock } = options;
  const renderings = new Map<string, Rendering>();
  const slots = createScrapeSlots({
    maximum: options.maximumScrapes,
    maximumPerClient: options.maximumScrapesPerClient,
    stallMs: options.stallMs,
    monotonicMs: () => clock.monotonicMs(),
  });

  function countRejected(reason: RejectionReason): void {
    metrics.bind(telemetryScrapeRejected, { "blixard.telemetry.rejection_reason": reason }).add(1);
  }

  /** The rendering that began just now, or a new one. */
  function renderingOf({ format, escaping }: NegotiatedFormat, coding: ContentCoding): Rendering {
    const key = `${format} ${escaping ?? ""} ${coding}`;
    const present = renderings.get(key);
    const startedMs = clock.monotonicMs();
    if (present?.page.open === true && startedMs - present.startedMs <= options.joinMs) return present;
    present?.page.closeEntry();
    const rendered = renderPage(options.source.families(), {
      format,
      escaping,
      resource: options.resource,
      scopeLabels: options.scopeLabels,
      created: options.created,
      onConflict: options.onConflict,
    });
    const slices = inSlices(rendered, clock, (bytes) => (rendering.pageBytes += bytes));
    const chunks = coding === "gzip" ? compressed(slices) : slices;
    const rendering: Rendering = {
      page: new SharedPage({ chunks, maximumLagBytes: options.maximumLagBytes }),
      startedMs,
      pageBytes: 0,
    };
    renderings.set(key, rendering);
    setTimeout(() => {
      rendering.page.closeEntry();
      if (renderings.get(key) === rendering) renderings.delete(key);
    }, options.joinMs).unref();
    return rendering;
  }

  async function send(request: IncomingMessage, response: ServerResponse, slot: ScrapeSlot, cut: AbortController) {
    const startedMs = clock.monotonicMs();
    const format = negotiateFormat(request.headers.accept);
    const coding = negotiateCoding(headerText(request.headers["accept-encoding"]));
    response.setHeader("Content-Type", format.contentType);
    response.setHeader("Vary", "Accept, Accept-Encoding");
    if (coding === "gzip") response.setHeader("Content-Encoding", coding);
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    const giveUp = (reason: RejectionReason): void => cut.abort(reason);
    const timer = setTimeout(() => giveUp("timeout"), deadlineMs(request, options.scrapeTimeoutMs));
    response.once("close", () => giveUp("aborted"));
    const rendering = renderingOf(format, coding);
    using reader = rendering.page.join(() => giveUp("timeout"));
    try {
      await transfer(reader, response, slot, cut.signal);
    } catch (error) {
      // The scraper went away or was too slow: there is nobody to tell but the metrics.
      countRejected(cut.signal.aborted ? (cut.signal.reason as RejectionReason) : "aborted");
      response.destroy(error instanceof Error ? error : undefined);
      return;
    } finally {
      clearTimeout(timer);
    }
    const attributes = { "blixard.telemetry.format": format.format } as const;
    metrics.bind(telemetryScrapeDuration, attributes).record((clock.monotonicMs() - startedMs) / 1000);
    metrics.bind(telemetryScrapeSize, attributes).record(rendering.pageBytes);
  }

  return {
    async answer(request, response) {
      const cut = new AbortController();
      using slot = slots.acquire(clientOf(request), () => cut.abort("stalled" satisfies RejectionReason));
      if (slot === undefined) {
        countRejected("busy");
        response.writeHead(503, { "Content-Type": "text/plain; charset=utf-8", "Retry-After": RETRY_AFTER_SECONDS });
        response.end(request.method === "HEAD" ? undefined : "too many scrapes at the same time\n");
        return;
      }
      await send(request, response, slot, cut);
    },
  };
}

/** Writes all chunks and waits until the last byte is out. @throws when the signal says so or the connection breaks */
async function transfer(
  chunks: AsyncIterable<Buffer>,
  response: ServerResponse,
  slot: ScrapeSlot,
  signal: AbortSignal,
): Promise<void> {
  const wait = async (event: string): Promise<void> => {
    slot.blocked();
    await once(response, event, { signal });
    slot.resumed();
  };
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    if (!response.write(chunk)) await wait("drain");
  }
  signal.throwIfAborted();
  response.end();
  if (!response.writableFinished) await wait("finish");
}

/** Prometheus says after how long it gives up. */
function deadlineMs(request: IncomingMessage, limitMs: number): number {
  const seconds = Number(headerText(request.headers["x-prometheus-scrape-timeout-seconds"]));
  return seconds > 0 ? Math.min(limitMs, seconds * 1000) : limitMs;
}

/** An address; IPv4 and its IPv6 form are one. */
function clientOf(request: IncomingMessage): string {
  return request.socket.remoteAddress?.replace(/^::ffff:/, "") ?? "";
}

async function* inSlices(
  chunks: Iterable<Buffer>,
  clock: Clock,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer, void, void> {
  let sliceStartMs = clock.monotonicMs();
  for (const chunk of chunks) {
    count(chunk.length);
    if (chunk.length > 0) yield chunk;
    if (clock.monotonicMs() - sliceStartMs < SLICE_MS) continue;
    await nextTurn();
    sliceStartMs = clock.monotonicMs();
  }
}

function compressed(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const gzip = createGzip({ level: constants.Z_BEST_SPEED });
  // An error ends the iteration of gzip, too.
  pipeline(Readable.from(chunks, { objectMode: false, highWaterMark: STREAM_BUFFER_BYTES }), gzip, () => {});
  return gzip;
}

function headerText(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(",") : header;
}
