/** What Loki says by its HTTP API. */

export interface LokiLine {
  readonly timeUnixNano: bigint;
  readonly line: string;
  /** Labels of its stream, and what the record brought as structured metadata. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface LokiApi {
  readonly url: string;
  /** At most 5,000 lines of the last hour. @param query LogQL */
  lines(query: string): Promise<readonly LokiLine[]>;
}

export function createLokiApi(url: string): LokiApi {
  return {
    url,
    lines: async (query) => {
      const nowNano = BigInt(Date.now()) * 1_000_000n;
      const parameters = new URLSearchParams({
        query,
        start: String(nowNano - 3_600_000_000_000n),
        end: String(nowNano + 60_000_000_000n),
        limit: "5000",
      });
      const response = await fetch(`${url}/loki/api/v1/query_range?${parameters.toString()}`);
      if (!response.ok) throw new Error(`Loki refuses ${query}: ${response.status} ${await response.text()}`);
      const { data } = (await response.json()) as { data: { result: LokiStream[] } };
      return data.result.flatMap(({ stream, values }) =>
        values.map(([time, line]) => ({ timeUnixNano: BigInt(time), line, labels: stream })),
      );
    },
  };
}

interface LokiStream {
  readonly stream: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [timeUnixNano: string, line: string])[];
}
