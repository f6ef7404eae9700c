/** The smallest Tempo and Loki: they listen where nodes, the Collector and the doctor are told to send and ask. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";

const repositoryDir = resolve(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(repositoryDir, path), "utf8");

test("Tempo takes OTLP from other machines on the usual ports, and answers on the one that the doctor is told", () => {
  const tempo: unknown = parse(read("deploy/tempo/tempo.yaml"));
  assert.partialDeepStrictEqual(tempo, {
    server: { http_listen_port: 3200 },
    distributor: {
      receivers: { otlp: { protocols: { grpc: { endpoint: "0.0.0.0:4317" }, http: { endpoint: "0.0.0.0:4318" } } } },
    },
  });
  const page = read("docs/integrations/tempo.md");
  assert.match(page, /otlp_endpoint = "http:\/\/tempo:4317"/);
  assert.match(page, /tempo_url = "http:\/\/tempo:3200"/);
  assert.match(read("deploy/otel-collector/tempo.yaml"), /endpoint: tempo:4317/);
});

test("Loki takes OTLP where nodes and the Collector send it, with a schema that can hold it", () => {
  const loki = parse(read("deploy/loki/loki.yaml")) as {
    readonly schema_config: { readonly configs: readonly unknown[] };
  };
  assert.partialDeepStrictEqual(loki, {
    auth_enabled: false,
    server: { http_listen_port: 3100 },
    limits_config: { allow_structured_metadata: true },
  });
  assert.partialDeepStrictEqual(loki.schema_config.configs.at(-1), { store: "tsdb", schema: "v13" });
  assert.match(read("docs/integrations/tempo.md"), /otlp_endpoint = "http:\/\/loki:3100\/otlp"/);
  assert.match(read("deploy/otel-collector/tempo.yaml"), /endpoint: http:\/\/loki:3100\/otlp/);
});
