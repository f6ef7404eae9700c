/**
 * The third-party programs that Blixard's monitoring kit is proven on, each pinned, each built from its Go
 * module. What is in this table is all there is to know about one: `build-plan.ts` makes commands of it, and a
 * change of its recipe is a change of its place in the cache.
 */

export const PROGRAM_NAMES = [
  "collector",
  "collector-oldest",
  "collector-datadog",
  "jaeger",
  "prometheus",
  "tempo",
  "loki",
] as const;

export type ProgramName = (typeof PROGRAM_NAMES)[number];

export interface Program {
  readonly name: ProgramName;
  /** As its makers count, without a leading v. */
  readonly version: string;
  /** The file's name. */
  readonly executable: string;
  readonly recipe: CollectorRecipe | ModuleRecipe;
}

/** Built by the Collector's own builder of the same version, from `deploy/otel-collector/builder.yaml`. */
export interface CollectorRecipe {
  readonly kind: "collector";
  /** What it has besides the components of the manifest; section → Go modules. */
  readonly additions: Readonly<Record<string, readonly string[]>>;
}

/**
 * Built in a copy of its module: `replace` directives, which these projects need, hold in the main module alone.
 */
export interface ModuleRecipe {
  readonly kind: "module";
  readonly module: string;
  readonly moduleVersion: string;
  /** The main package, relative to the module. */
  readonly package: string;
  /** Go files to be added, relative to the module. */
  readonly additionalFiles?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  readonly linkerFlags?: string;
  /** Modules that it takes from folders of its repository which its download lacks: the published ones do. */
  readonly droppedReplacements?: readonly string[];
}

const contrib = "github.com/open-telemetry/opentelemetry-collector-contrib";

export const PROGRAMS: Readonly<Record<ProgramName, Program>> = {
  /** The newest version of which every module that we use can be had. */
  collector: {
    name: "collector",
    version: "0.159.0",
    executable: "otelcol-blixard",
    recipe: { kind: "collector", additions: {} },
  },
  "collector-oldest": {
    name: "collector-oldest",
    version: "0.100.0",
    executable: "otelcol-blixard",
    recipe: { kind: "collector", additions: {} },
  },
  /** The newest with Datadog's exporter and connector; by themselves they are most of its size. */
  "collector-datadog": {
    name: "collector-datadog",
    version: "0.139.0",
    executable: "otelcol-blixard",
    recipe: {
      kind: "collector",
      additions: {
        exporters: [`${contrib}/exporter/datadogexporter`],
        connectors: [`${contrib}/connector/datadogconnector`],
      },
    },
  },
  jaeger: {
    name: "jaeger",
    version: "1.76.0",
    executable: "jaeger",
    recipe: {
      kind: "module",
      module: "github.com/jaegertracing/jaeger",
      moduleVersion: "v1.76.0",
      package: "./cmd/jaeger",
    },
  },
  prometheus: {
    name: "prometheus",
    version: "3.16.0",
    executable: "prometheus",
    recipe: {
      kind: "module",
      module: "github.com/prometheus/prometheus",
      moduleVersion: "v0.316.0",
      package: "./cmd/prometheus",
      tags: ["remove_all_sd"],
    },
  },
  tempo: {
    name: "tempo",
    version: "1.5.0",
    executable: "tempo",
    recipe: {
      kind: "module",
      module: "github.com/grafana/tempo",
      moduleVersion: "v1.5.0",
      package: "./cmd/tempo",
      // It reaches into the runtime of an older Go.
      linkerFlags: "-checklinkname=0",
      // Since Go 1.21 packages start in the order of their paths, and Tempo's codec is no longer the last to register:
      // it would end with its first span.
      additionalFiles: {
        "pkg/gogocodec/order.go": 'package gogocodec\n\nimport _ "google.golang.org/grpc/encoding/proto"\n',
      },
    },
  },
  loki: {
    name: "loki",
    version: "3.7.8",
    executable: "loki",
    recipe: {
      kind: "module",
      module: "github.com/grafana/loki/v3",
      moduleVersion: "v3.7.8",
      package: "./cmd/loki",
      droppedReplacements: ["github.com/grafana/loki/pkg/push"],
    },
  },
};
