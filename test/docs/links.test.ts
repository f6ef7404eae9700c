/** The documents name things that exist. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { anchorsOf, localLinks, namedPaths } from "./markdown.ts";

const repositoryDir = resolve(import.meta.dirname, "../..");
const listed = spawnSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], {
  cwd: repositoryDir,
  encoding: "utf8",
});
const documents = [...new Set(listed.stdout.split("\n"))].filter((name) => name !== "");

test("the repository's documents are found", () => {
  assert.ok(documents.includes("README.md") && documents.includes("docs/reference/cli.md"), listed.stderr);
});

for (const document of documents) {
  test(`every link and path in ${document} leads somewhere`, () => {
    const markdown = readFileSync(join(repositoryDir, document), "utf8");
    const dead = [
      ...localLinks(markdown).filter((target) => !leadsSomewhere(document, target)),
      ...namedPaths(markdown).filter((path) => !existsSync(join(repositoryDir, path))),
    ];
    assert.deepEqual(dead, []);
  });
}

function leadsSomewhere(document: string, target: string): boolean {
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? join(repositoryDir, document) : join(repositoryDir, dirname(document), path);
  if (!existsSync(file)) return false;
  return anchor === undefined || anchorsOf(readFileSync(file, "utf8")).has(anchor);
}
