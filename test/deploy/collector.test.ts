/** The Collector's configurations without a Collector: what can be said of them by reading. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import { parseDocument } from "yaml";

const folder = join(import.meta.dirname, "../../deploy/otel-collector");
const files = globSync(join(folder, "*.yaml")).filter((file) => basename(file) !== "builder.yaml");

const SECTIONS = ["receivers", "processors", "exporters", "connectors", "extensions"] as const;
type Section = (typeof SECTIONS)[number];

/** Of components that the manifest leaves out on purpose; datadog.yaml says how to add them. */
const NOT_IN_MANIFEST = ["exporters datadog", "connectors datadog"];

/** Keys whose values are secrets, whatever the component. */
const SECRET_KEY = /^(authorization|.*(api[-_]?key|token|password|secret|credential).*|key)$/i;

interface Pipeline {
  readonly receivers: readonly string[];
  readonly processors: readonly string[];
  readonly exporters: readonly string[];
}

interface ExporterOptions {
  readonly sending_queue?: { readonly queue_size: number };
  readonly remote_write_queue?: { readonly queue_size: number };
  readonly retry_on_failure?: { readonly max_elapsed_time: string };
  /** Of remote write: it bounds all attempts together. */
  readonly timeout?: string;
}

type Configuration = Readonly<Partial<Record<Section, Readonly<Record<string, unknown>>>>> & {
  readonly service: {
    readonly extensions: readonly string[];
    readonly pipelines: Readonly<Record<string, Pipeline>>;
  };
};

function readYaml(file: string): unknown {
  const document = parseDocument(readFileSync(file, "utf8"), { uniqueKeys: true, strict: true });
  assert.deepEqual([...document.errors, ...document.warnings], []);
  return document.toJS();
}

/** `otlp/jaeger` is the component `otlp`. */
const typeOf = (id: string): string => id.replace(/\/.*$/, "");

/** Section and type of each component the manifest has, as `exporters otlp`. */
function readManifest(): Set<string> {
  const manifest = readYaml(join(folder, "builder.yaml")) as Record<string, { readonly gomod: string }[]>;
  const names: Record<string, string> = {
    memorylimiter: "memory_limiter",
    healthcheck: "health_check",
  };
  return new Set(
    SECTIONS.flatMap((section) =>
      (manifest[section] ?? []).map(({ gomod }) => {
        const name = /\/([a-z]+)(?:receiver|processor|exporter|connector|extension) v/.exec(gomod)?.[1] ?? gomod;
        return `${section} ${names[name] ?? name}`;
      }),
    ),
  );
}

function componentsOf(configuration: Configuration): { readonly section: Section; readonly id: string }[] {
  return SECTIONS.flatMap((section) => Object.keys(configuration[section] ?? {}).map((id) => ({ section, id })));
}

describe("the Collector's configurations", () => {
  it("are the ones the documentation names", () => {
    assert.deepEqual(files.map((file) => basename(file)).toSorted(), [
      "collector.yaml",
      "datadog.yaml",
      "grafana-cloud.yaml",
      "otlp.yaml",
      "tempo.yaml",
      "xray.yaml",
    ]);
  });

  it("need every component of the manifest, and the manifest is of one version", () => {
    const needed = new Set(
      files.flatMap((file) =>
        componentsOf(readYaml(file) as Configuration).map(({ section, id }) => `${section} ${typeOf(id)}`),
      ),
    );
    assert.deepEqual(
      [...readManifest()].filter((component) => !needed.has(component)),
      [],
    );
    const manifest = readYaml(join(folder, "builder.yaml")) as { readonly dist: { readonly version: string } };
    const text = readFileSync(join(folder, "builder.yaml"), "utf8");
    const versions = new Set([...text.matchAll(/gomod: \S+ v(\S+)/g)].map(([, version]) => version));
    assert.deepEqual([...versions], [manifest.dist.version]);
  });

  for (const file of files) {
    describe(basename(file), () => {
      const configuration = readYaml(file) as Configuration;
      const pipelines = Object.entries(configuration.service.pipelines);

      it("uses components of the manifest", () => {
        const known = new Set([...readManifest(), ...NOT_IN_MANIFEST]);
        const used = componentsOf(configuration).map(({ section, id }) => `${section} ${typeOf(id)}`);
        assert.deepEqual(
          used.filter((component) => !known.has(component)),
          [],
        );
      });

      it("uses every component that it defines, and defines every one that it uses", () => {
        const defined = new Set(componentsOf(configuration).map(({ id }) => id));
        const used = new Set([
          ...configuration.service.extensions,
          ...pipelines.flatMap(([, { receivers, processors, exporters }]) => [
            ...receivers,
            ...processors,
            ...exporters,
          ]),
        ]);
        assert.deepEqual([...used].toSorted(), [...defined].toSorted());
      });

      it("limits memory before anything else in every pipeline, and batches last", () => {
        for (const [name, { processors }] of pipelines) {
          assert.equal(processors[0], "memory_limiter", name);
          assert.equal(processors.at(-1), "batch", name);
        }
      });

      it("says how it fares, and keeps a bounded queue for every destination over the network", () => {
        assert.deepEqual(configuration.service.extensions, ["health_check"]);
        for (const [id, options] of Object.entries(configuration.exporters ?? {})) {
          if (["prometheus", "awsxray"].includes(typeOf(id))) continue; // a page; a client with retries of its own
          const { sending_queue, remote_write_queue, retry_on_failure, timeout } = options as ExporterOptions;
          assert.equal((sending_queue ?? remote_write_queue)?.queue_size, 2000, id);
          assert.ok(timeout === "1m" || retry_on_failure?.max_elapsed_time === "10m", id);
        }
      });

      it("has secrets from the environment only", () => {
        const literal: string[] = [];
        walk(configuration, (key, value) => {
          if (SECRET_KEY.test(key) && !/^(Basic |Bearer )?\$\{env:[A-Z][A-Z0-9_]*\}$/.test(value)) literal.push(key);
          assert.doesNotMatch(value, /\$\{env:[^}]*:-/, "older Collectors know no defaults");
          assert.doesNotMatch(value, /\/\/[^/\s]*:[^/\s]*@/, "credentials in a URL");
        });
        assert.deepEqual(literal, []);
      });
    });
  }
});

function walk(value: unknown, visit: (key: string, value: string) => void, key = ""): void {
  if (typeof value === "string") visit(key, value);
  else if (typeof value === "object" && value !== null) {
    for (const [name, child] of Object.entries(value)) walk(child, visit, Array.isArray(value) ? key : name);
  }
}
