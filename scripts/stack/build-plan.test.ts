import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { readBuildInputs } from "./build-inputs.ts";
import { type BuildStep, adaptManifest, cacheFolderName, planBuild } from "./build-plan.ts";
import { PROGRAM_NAMES, PROGRAMS, type Program } from "./programs.ts";

const manifest = `# A Collector.
dist:
  name: otelcol-blixard
  version: 0.159.0
receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v0.159.0
exporters:
  - gomod: example.com/exporter/fileexporter v0.159.0
`;

const collector: Program = {
  name: "collector-oldest",
  version: "0.100.0",
  executable: "otelcol-blixard",
  recipe: { kind: "collector", additions: {} },
};

const jaeger: Program = {
  name: "jaeger",
  version: "1.76.0",
  executable: "jaeger",
  recipe: {
    kind: "module",
    module: "example.com/jaeger",
    moduleVersion: "v1.76.0",
    package: "./cmd/jaeger",
    tags: ["one", "two"],
    linkerFlags: "-checklinkname=0",
    droppedReplacements: ["example.com/jaeger/push"],
  },
};

describe("the folder of a program in the cache", () => {
  const name = (program: Program, inputs = { manifest }): string => cacheFolderName(program, inputs);

  it("tells name and version, and stays while nothing changes", () => {
    assert.match(name(collector), /^collector-oldest-0\.100\.0-[0-9a-f]{12}$/);
    assert.equal(name(collector), name({ ...collector }));
  });

  it("is another one for another recipe, manifest or set of checksums", () => {
    const names = [
      name(collector),
      name(collector, { manifest: `${manifest}#` }),
      cacheFolderName(collector, { manifest, checksums: "example.com v1 h1:a\n" }),
      name({ ...collector, recipe: { kind: "collector", additions: { exporters: ["example.com/x"] } } }),
      name({ ...collector, version: "0.100.1" }),
    ];
    assert.equal(new Set(names).size, names.length);
  });

  it("does not depend on the manifest for a program that has none", () => {
    assert.equal(name(jaeger), name(jaeger, { manifest: "" }));
  });

  it("is a folder of its own for every program of the table", async () => {
    const names = await Promise.all(
      PROGRAM_NAMES.map(async (key) => cacheFolderName(PROGRAMS[key], await readBuildInputs(PROGRAMS[key]))),
    );
    assert.equal(new Set(names).size, PROGRAM_NAMES.length);
    for (const key of PROGRAM_NAMES) assert.equal(PROGRAMS[key].name, key);
  });
});

describe("the Collector of today", () => {
  it("is of the version that the shipped manifest is of", async () => {
    const inputs = await readBuildInputs(PROGRAMS.collector);
    assert.match(inputs.manifest, new RegExp(`^  version: ${RegExp.escape(PROGRAMS.collector.version)}$`, "m"));
  });
});

describe("the plan of a build", () => {
  it("of a Collector builds the builder of the same version and lets it do the rest", () => {
    const { steps, output } = planBuild(collector, { manifest, checksums: "sums" }, "/scratch");
    assert.equal(output, "/scratch/bin/otelcol-blixard");
    assert.match(written(steps, "/scratch/builder/go.mod"), /collector\/cmd\/builder v0\.100\.0\n/);
    assert.equal(written(steps, "/scratch/builder/go.sum"), "sums");
    assert.equal(written(steps, "/scratch/source/go.sum"), "sums");
    assert.deepEqual(commands(steps), [
      "go build -mod=mod -p 2 -trimpath -o /scratch/builder/builder go.opentelemetry.io/collector/cmd/builder",
      "/scratch/builder/builder --config /scratch/manifest.yaml --skip-compilation",
      "go build -mod=mod -p 2 -trimpath -ldflags=-s -w -o /scratch/bin/otelcol-blixard .",
    ]);
  });

  it("of a module copies it, drops replacements that it lacks, and builds there", () => {
    const { steps } = planBuild(jaeger, { manifest }, "/scratch");
    assert.deepEqual(
      steps.flatMap((step) => (step.kind === "copy_module" ? [[step.module, step.version, step.to]] : [])),
      [["example.com/jaeger", "v1.76.0", "/scratch/source"]],
    );
    assert.deepEqual(commands(steps), [
      "go mod edit -dropreplace=example.com/jaeger/push",
      "go build -mod=mod -p 2 -trimpath -tags one,two -ldflags=-checklinkname=0 -o /scratch/bin/jaeger ./cmd/jaeger",
    ]);
  });

  it("gives the manifest another version, place and more components", () => {
    const adapted: unknown = parse(
      adaptManifest(manifest, {
        version: "0.100.0",
        additions: { exporters: ["example.com/exporter/datadog"], connectors: ["example.com/connector/datadog"] },
        sourceDir: "/scratch/source",
      }),
    );
    assert.deepEqual(adapted, {
      dist: { name: "otelcol-blixard", version: "0.100.0", output_path: "/scratch/source" },
      receivers: [{ gomod: "go.opentelemetry.io/collector/receiver/otlpreceiver v0.100.0" }],
      exporters: [
        { gomod: "example.com/exporter/fileexporter v0.100.0" },
        { gomod: "example.com/exporter/datadog v0.100.0" },
      ],
      connectors: [{ gomod: "example.com/connector/datadog v0.100.0" }],
    });
  });

  it("refuses a manifest that is none", () => {
    const change = { version: "1", additions: {}, sourceDir: "/" };
    for (const text of ["", "- a", "a: [", "text"]) {
      assert.throws(() => adaptManifest(text, change), /not a YAML mapping/);
    }
  });
});

function written(steps: readonly BuildStep[], file: string): string {
  return steps.flatMap((step) => (step.kind === "write" && step.file === file ? [step.text] : [])).join("");
}

function commands(steps: readonly BuildStep[]): string[] {
  return steps.flatMap((step) => (step.kind === "run" ? [step.argv.join(" ")] : []));
}
