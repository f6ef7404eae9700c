import assert from "node:assert/strict";
import { test } from "node:test";
import type { Problem } from "../problem.ts";
import { parseYaml, type YamlNode } from "./yaml-tree.ts";

const environment = {
  STRING_VALUE: "value",
  BOOL_VALUE: "true",
  INT_VALUE: "1",
  FLOAT_VALUE: "1.1",
  HEX_VALUE: "0xdeadbeef",
  INVALID_MAP_VALUE: "value\nkey:value",
  DO_NOT_REPLACE_ME: "Never use this value",
  REPLACE_ME: "${DO_NOT_REPLACE_ME}",
  VALUE_WITH_ESCAPE: "value$$",
};

function valueOf(text: string): YamlNode | undefined {
  const problems: Problem[] = [];
  const source = {
    text: `key: ${text}`,
    environment,
    place: (at: { readonly line: number; readonly column: number }) => ({ kind: "file", file: "f", ...at }) as const,
    readSubstitute: () => "",
  };
  const tree = parseYaml(source, problems);
  return tree?.kind === "map" ? tree.entries.get("key")?.node : undefined;
}

/** The specification's table of substitutions: input, kind of the result, its value. */
const SUBSTITUTIONS: readonly (readonly [string, YamlNode["kind"], unknown])[] = [
  ["${STRING_VALUE}", "string", "value"],
  ["${BOOL_VALUE}", "boolean", true],
  ["${INT_VALUE}", "integer", 1],
  ["${FLOAT_VALUE}", "float", 1.1],
  ["${HEX_VALUE}", "integer", 3735928559],
  ['"${STRING_VALUE}"', "string", "value"],
  ['"${BOOL_VALUE}"', "string", "true"],
  ['"${INT_VALUE}"', "string", "1"],
  ['"${FLOAT_VALUE}"', "string", "1.1"],
  ['"${HEX_VALUE}"', "string", "0xdeadbeef"],
  ["${env:STRING_VALUE}", "string", "value"],
  ["${INVALID_MAP_VALUE}", "string", "value\nkey:value"],
  ["foo ${STRING_VALUE} ${FLOAT_VALUE}", "string", "foo value 1.1"],
  ["${UNDEFINED_KEY}", "null", undefined],
  ["${UNDEFINED_KEY:-fallback}", "string", "fallback"],
  ["${REPLACE_ME}", "string", "${DO_NOT_REPLACE_ME}"],
  ["${UNDEFINED_KEY:-${STRING_VALUE}}", "string", "${STRING_VALUE}"],
  ["$${STRING_VALUE}", "string", "${STRING_VALUE}"],
  ["$$${STRING_VALUE}", "string", "$value"],
  ["$$$${STRING_VALUE}", "string", "$${STRING_VALUE}"],
  ["$${STRING_VALUE:-fallback}", "string", "${STRING_VALUE:-fallback}"],
  ["$${STRING_VALUE:-${STRING_VALUE}}", "string", "${STRING_VALUE:-value}"],
  ["${UNDEFINED_KEY:-$${UNDEFINED_KEY}}", "string", "${UNDEFINED_KEY:-${UNDEFINED_KEY}}"],
  ["${VALUE_WITH_ESCAPE}", "string", "value$$"],
  ["a $$ b", "string", "a $ b"],
  ["a $ b", "string", "a $ b"],
];

test("variables are substituted as the specification's table has it", () => {
  for (const [text, kind, expected] of SUBSTITUTIONS) {
    const node = valueOf(text);
    assert.equal(node?.kind, kind, text);
    assert.equal(node !== undefined && "value" in node ? node.value : undefined, expected, text);
  }
  for (const text of ["${STRING_VALUE:?error}", "${1API_KEY}", "${API_$KEY}"])
    assert.equal(valueOf(text), undefined, text);
});

test("keys are not substituted", () => {
  const problems: Problem[] = [];
  const tree = parseYaml(
    {
      text: "${STRING_VALUE}: value",
      environment,
      place: (at) => ({ kind: "file", file: "f", ...at }),
      readSubstitute: () => "",
    },
    problems,
  );
  assert.deepEqual(tree?.kind === "map" ? [...tree.entries.keys()] : [], ["${STRING_VALUE}"]);
});
