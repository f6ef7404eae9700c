/** What a Prometheus says by its HTTP API, of any version. */

export interface PrometheusResult {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [timeSeconds: number, value: string];
}

export interface PrometheusExemplars {
  readonly seriesLabels: Readonly<Record<string, string>>;
  readonly exemplars: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: string }[];
}

export interface PrometheusAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: "pending" | "firing";
}

export interface PrometheusTarget {
  readonly labels: Readonly<Record<string, string>>;
  readonly scrapeUrl: string;
  readonly health: "up" | "down" | "unknown";
  readonly lastError: string;
}

export interface PrometheusRule {
  readonly name: string;
  readonly type: "alerting" | "recording";
  readonly health: "ok" | "err" | "unknown";
  readonly lastError?: string;
}

export interface PrometheusApi {
  readonly url: string;
  /** The instant vector of a query. */
  query(query: string): Promise<readonly PrometheusResult[]>;
  /** Exemplars of the last hour. */
  exemplars(query: string): Promise<readonly PrometheusExemplars[]>;
  /** Those that fire or are about to. */
  alerts(): Promise<readonly PrometheusAlert[]>;
  /** What it scrapes now. */
  targets(): Promise<readonly PrometheusTarget[]>;
  rules(): Promise<readonly PrometheusRule[]>;
}

/** @param url without a slash at its end; every call throws with Prometheus's reason when it refuses */
export function createPrometheusApi(url: string): PrometheusApi {
  async function ask<T>(path: string, parameters: Record<string, string> = {}): Promise<T> {
    const response = await fetch(`${url}${path}?${new URLSearchParams(parameters).toString()}`);
    const body = (await response.json()) as { status: string; error?: string; data: T };
    if (body.status !== "success") throw new Error(`Prometheus refuses ${path}: ${body.error}`);
    return body.data;
  }
  return {
    url,
    query: async (query) => (await ask<{ result: PrometheusResult[] }>("/api/v1/query", { query })).result,
    exemplars: (query) => {
      const nowSeconds = Date.now() / 1000;
      const [start, end] = [nowSeconds - 3_600, nowSeconds + 60];
      return ask("/api/v1/query_exemplars", { query, start: String(start), end: String(end) });
    },
    alerts: async () => (await ask<{ alerts: PrometheusAlert[] }>("/api/v1/alerts")).alerts,
    targets: async () =>
      (await ask<{ activeTargets: PrometheusTarget[] }>("/api/v1/targets", { state: "active" })).activeTargets,
    rules: async () => {
      const { groups } = await ask<{ groups: { rules: PrometheusRule[] }[] }>("/api/v1/rules");
      return groups.flatMap(({ rules }) => rules);
    },
  };
}
