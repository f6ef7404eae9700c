/**
 * The scrape's side: whether the node's own page answers as it should, and whether a
 * Prometheus that can be asked gets the same metrics by scrape and by OTLP.
 */
import { telemetrySeriesLimit } from "#gen/telemetry/metrics.ts";
import type { PrometheusIdentity } from "../resource/prometheus-identity.ts";
import { ok, skipped, type Verdict } from "./check.ts";
import { found } from "./findings.ts";
import { codeOf, requestSmall, type SmallResponse } from "./http-request.ts";
import { backendNames, isOfBackend, resultsOf, type SeriesLabels } from "./read-back.ts";

const OPENMETRICS = "application/openmetrics-text; version=1.0.0";
const MAXIMUM_PAGE_BYTES = 128 * 2 ** 20;

/** @param url undefined where no page is served */
export async function checkPage(url: string | undefined, signal: AbortSignal): Promise<Verdict> {
  if (url === undefined) return skipped("no metrics page is served");
  try {
    const response = await requestSmall({
      url,
      headers: { accept: OPENMETRICS },
      // It is our own, and its certificate may be for another of our names.
      trustAnyCertificate: true,
      maximumBytes: MAXIMUM_PAGE_BYTES,
      signal,
    });
    return diagnosePage(url, response);
  } catch (error) {
    const code = codeOf(error);
    // A client certificate is asked for, as configured.
    if (/CERTIFICATE_REQUIRED|ALERT/.test(code)) return ok(`${url} answers those with a client certificate`);
    return found("page_unreachable", `${url} does not answer: ${code}`, undefined, url);
  }
}

export function diagnosePage(url: string, { statusCode, contentType, body }: SmallResponse): Verdict {
  if (statusCode === 401 || statusCode === 403) return ok(`${url} answers those with credentials`);
  if (statusCode !== 200) return found("page_unreachable", `${url} answers HTTP ${statusCode}`, undefined, url);
  if (!contentType.startsWith("application/openmetrics-text")) {
    return found("page_invalid", `${url} answers with ${contentType || "no content type"}`);
  }
  if (body.toString("latin1", body.length - 6) !== "# EOF\n") {
    return found("page_invalid", `${url} ends without # EOF`);
  }
  const lines = body.toString("latin1").split("\n");
  const samples = lines.filter((line) => line !== "" && !line.startsWith("#"));
  const broken = samples.find((line) => !SAMPLE.test(line));
  if (broken !== undefined)
    return found("page_invalid", `${url} has a line that is no sample: ${broken.slice(0, 100)}`);
  return ok(`${url} has ${samples.length} samples`);
}

/** Name, labels, value; then perhaps a time, and perhaps an exemplar. */
const SAMPLE = /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? (\S+)( \S+)?( # \{.*\} .*)?$/;

export interface DuplicateQuery {
  readonly prometheusUrl: string;
  /** What Prometheus makes of the resource on the OTLP route. */
  readonly identity: PrometheusIdentity;
  /** Where targets with these labels are listed, when anything else goes by OTLP: labels should be equal then. */
  readonly discoveryUrl: string | undefined;
  /** Where targets are listed, when metrics are for a scrape alone: Prometheus must have them by it then. */
  readonly scrapedOnlyBy: string | undefined;
  /** The canary's metric as Prometheus has it: the node's own come the same way. */
  readonly pushed: SeriesLabels | undefined;
  readonly fetch: (url: string, signal: AbortSignal) => Promise<SmallResponse>;
  readonly signal: AbortSignal;
}

/**
 * Questions to Prometheus: whom it, or a collector, scrapes that says it is this node, and if the canary was not
 * seen, who pushes as this node. Labels alone do not tell: they may be equal on both ways. Only what is scraped is `up`.
 */
export async function checkDuplicates(options: DuplicateQuery): Promise<Verdict> {
  const { prometheusUrl, identity, fetch, signal } = options;
  const ask = async (query: string) => {
    const url = `${prometheusUrl.replace(/\/+$/, "")}/api/v1/query?query=${encodeURIComponent(query)}`;
    const response = await fetch(url, signal);
    if (!isOfBackend("prometheus", response)) throw new OtherServerError(response.statusCode);
    return resultsOf(response.body);
  };
  const metric = telemetrySeriesLimit.prometheusName;
  // Operators may give any text: JSON's quotes and escapes are PromQL's.
  const instance = JSON.stringify(identity.instance);
  const isUp = "on (job, instance) up";
  try {
    const pushed =
      options.pushed === undefined
        ? await ask(`count by (job, instance) (${metric}{instance=${instance}} unless ${isUp})`)
        : [options.pushed];
    // The page's target_info says whose page it is, whatever `instance` is.
    const scraped = await ask(
      `count by (job, instance) (${metric} and ${isUp} and on (job, instance) (target_info{service_instance_id=${instance}} or up{instance=${instance}}))`,
    );
    return diagnoseDuplicates(pushed, scraped, options);
  } catch (error) {
    const reason = error instanceof OtherServerError ? error.message : codeOf(error);
    const problem = `Prometheus could not be asked: ${reason}`;
    // Of what is pushed, reading back has told this already.
    return options.scrapedOnlyBy === undefined
      ? skipped(problem)
      : found("backend_unreachable", problem, undefined, backendNames.prometheus);
  }
}

class OtherServerError extends Error {
  constructor(statusCode: number) {
    super(`what answers is something else, HTTP ${statusCode}`);
  }
}

export function diagnoseDuplicates(
  pushed: readonly SeriesLabels[],
  scraped: readonly SeriesLabels[],
  { identity, discoveryUrl, scrapedOnlyBy }: Pick<DuplicateQuery, "identity" | "discoveryUrl" | "scrapedOnlyBy">,
): Verdict {
  const name = ({ job = "", instance = "" }: SeriesLabels): string => `job "${job}", instance "${instance}"`;
  const [push] = pushed;
  const [scrape, otherScrape] = scraped;
  if (push !== undefined && scrape !== undefined) {
    return found(
      "scrape_and_push",
      `Prometheus has this node's metrics twice: by OTLP as ${name(push)}, by scrape as ${name(scrape)}`,
    );
  }
  if (push !== undefined) return ok("Prometheus gets this node's metrics by OTLP only");
  if (scrape === undefined) {
    return scrapedOnlyBy === undefined
      ? ok("Prometheus has nothing of this node yet but the canary")
      : found(
          "not_scraped",
          "Prometheus has nothing of this node, whose metrics are not pushed",
          undefined,
          scrapedOnlyBy,
        );
  }
  if (otherScrape !== undefined) {
    return found(
      "scraped_twice",
      `Prometheus has this node's metrics twice: by scrape as ${name(scrape)} and as ${name(otherScrape)}`,
    );
  }
  const isIdentity = scrape["job"] === identity.job && scrape["instance"] === identity.instance;
  if (isIdentity || discoveryUrl === undefined) {
    return ok(`Prometheus gets this node's metrics by scrape only, as ${name(scrape)}`);
  }
  return found(
    "scrape_labels_differ",
    `Prometheus gets this node's metrics by scrape, as ${name(scrape)}; by OTLP this node is ${name({ ...identity })}`,
    undefined,
    discoveryUrl,
  );
}
