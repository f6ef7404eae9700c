import { createHash } from "node:crypto";
import { join } from "node:path";
import { isMap, isSeq, parseDocument } from "yaml";
import type { CollectorRecipe, ModuleRecipe, Program } from "./programs.ts";

/** Raise it when the way of building changes: everything is then built anew. */
const PLAN_VERSION = 1;

const BUILDER = "go.opentelemetry.io/collector/cmd/builder";
const COMPILING = "compiling (some minutes the first time)";

/** go.sum may get what it lacks: these projects leave out what only their tests need. Two compilers at once are enough. */
const BUILD = ["go", "build", "-mod=mod", "-p", "2", "-trimpath"];

/** What a build needs besides its row of the table. */
export interface BuildInputs {
  /** The text of `deploy/otel-collector/builder.yaml`. */
  readonly manifest: string;
  /** The text of `checksums/<name>.sum`, where there is one: what is downloaded must have these. */
  readonly checksums?: string;
}

export type BuildStep =
  | { readonly kind: "write"; readonly file: string; readonly text: string }
  /** The unpacked module, made writable. */
  | { readonly kind: "copy_module"; readonly module: string; readonly version: string; readonly to: string }
  | {
      readonly kind: "run";
      readonly says: string;
      readonly cwd: string;
      /** The first is `go`, or a file that an earlier step made. */
      readonly argv: readonly string[];
    };

export interface BuildPlan {
  readonly steps: readonly BuildStep[];
  /** Where the executable is in the end. */
  readonly output: string;
}

/** The name of its folder in the cache: another recipe, manifest or set of checksums is another folder. */
export function cacheFolderName(program: Program, inputs: BuildInputs): string {
  const material = [
    PLAN_VERSION,
    program,
    program.recipe.kind === "collector" ? inputs.manifest : "",
    inputs.checksums,
  ];
  const hash = createHash("sha256").update(JSON.stringify(material)).digest("hex").slice(0, 12);
  return `${program.name}-${program.version}-${hash}`;
}

/** @param workDir an empty folder */
export function planBuild(program: Program, inputs: BuildInputs, workDir: string): BuildPlan {
  const output = join(workDir, "bin", program.executable);
  const { recipe } = program;
  const steps =
    recipe.kind === "collector"
      ? planCollector(program, recipe, inputs, workDir, output)
      : planModule(recipe, workDir, output);
  return { steps, output };
}

function planCollector(
  program: Program,
  recipe: CollectorRecipe,
  inputs: BuildInputs,
  workDir: string,
  output: string,
): BuildStep[] {
  const builderDir = join(workDir, "builder");
  const sourceDir = join(workDir, "source");
  const builder = join(builderDir, "builder");
  const manifestFile = join(workDir, "manifest.yaml");
  const checksums = (folder: string): BuildStep[] =>
    inputs.checksums === undefined ? [] : [{ kind: "write", file: join(folder, "go.sum"), text: inputs.checksums }];
  return [
    // In a module of its own, so that the checksums count for the builder as well.
    {
      kind: "write",
      file: join(builderDir, "go.mod"),
      text: `module builder\n\ngo 1.26\n\nrequire ${BUILDER} v${program.version}\n`,
    },
    ...checksums(builderDir),
    run(`building the Collector builder ${program.version}`, builderDir, [...BUILD, "-o", builder, BUILDER]),
    {
      kind: "write",
      file: manifestFile,
      text: adaptManifest(inputs.manifest, { version: program.version, additions: recipe.additions, sourceDir }),
    },
    ...checksums(sourceDir),
    run("resolving its modules", workDir, [builder, "--config", manifestFile, "--skip-compilation"]),
    run(COMPILING, sourceDir, [...BUILD, "-ldflags=-s -w", "-o", output, "."]),
  ];
}

function planModule(recipe: ModuleRecipe, workDir: string, output: string): BuildStep[] {
  const sourceDir = join(workDir, "source");
  const flags = [
    ...(recipe.tags === undefined ? [] : ["-tags", recipe.tags.join(",")]),
    ...(recipe.linkerFlags === undefined ? [] : [`-ldflags=${recipe.linkerFlags}`]),
  ];
  const additions = Object.entries(recipe.additionalFiles ?? {}).map(([name, text]): BuildStep => {
    return { kind: "write", file: join(sourceDir, name), text };
  });
  const edits = (recipe.droppedReplacements ?? []).map((module) => `-dropreplace=${module}`);
  return [
    { kind: "copy_module", module: recipe.module, version: recipe.moduleVersion, to: sourceDir },
    ...additions,
    ...(edits.length === 0 ? [] : [run("editing its go.mod", sourceDir, ["go", "mod", "edit", ...edits])]),
    run(COMPILING, sourceDir, [...BUILD, ...flags, "-o", output, recipe.package]),
  ];
}

function run(says: string, cwd: string, argv: readonly string[]): BuildStep {
  return { kind: "run", says, cwd, argv };
}

interface ManifestChange {
  readonly version: string;
  readonly additions: CollectorRecipe["additions"];
  /** Where the builder is to write. */
  readonly sourceDir: string;
}

/** The manifest as shipped, with other versions, more components, another place. */
export function adaptManifest(manifest: string, { version, additions, sourceDir }: ManifestChange): string {
  const document = parseDocument(manifest);
  if (document.errors.length > 0 || !isMap(document.contents)) throw new Error("the manifest is not a YAML mapping");
  document.setIn(["dist", "output_path"], sourceDir);
  document.setIn(["dist", "version"], version);
  for (const { key, value } of document.contents.items) {
    if (!isSeq(value)) continue;
    for (const [index] of value.items.entries()) {
      const path = [String(key), index, "gomod"];
      document.setIn(path, String(document.getIn(path)).replace(/ v\S+$/, ` v${version}`));
    }
  }
  for (const [section, modules] of Object.entries(additions)) {
    for (const module of modules) {
      if (!document.has(section)) document.set(section, document.createNode([]));
      document.addIn([section], document.createNode({ gomod: `${module} v${version}` }));
    }
  }
  return document.toString();
}
