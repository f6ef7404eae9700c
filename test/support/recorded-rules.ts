/** What recording rules add to the metrics that an expression may name. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { type Catalogue, checkPromql, gaugeWith } from "./promql.ts";

interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly { readonly record?: string; readonly expr: string; readonly labels?: object }[];
  }[];
}

/** With what the rules of a folder record, and the labels that they do it with. */
export async function withRecordedRules(catalogue: Catalogue, rulesDir: string): Promise<Catalogue> {
  let known = catalogue;
  for (const file of (await readdir(rulesDir)).toSorted()) {
    const { groups } = parse(await readFile(join(rulesDir, file), "utf8")) as RuleFile;
    for (const { record, expr, labels = {} } of groups.flatMap(({ rules }) => rules)) {
      if (record === undefined) continue;
      const before = known.families.get(record)?.labels.keys() ?? [];
      known = known.with(
        record,
        gaugeWith(["job", "instance", ...before, ...checkPromql(expr, known).labels, ...Object.keys(labels)]),
      );
    }
  }
  return known;
}
