/** What the tests of the documents read from a Markdown file. */

export interface Snippet {
  /** Of the opening fence. */
  readonly line: number;
  /** The whole info string: `sh node`. */
  readonly info: string;
  readonly text: string;
}

/** The fenced blocks, in order. @throws SyntaxError when one does not end */
export function parseSnippets(markdown: string): readonly Snippet[] {
  const snippets: Snippet[] = [];
  let open: { readonly line: number; readonly info: string; readonly lines: string[] } | undefined;
  for (const [index, text] of markdown.split("\n").entries()) {
    if (open === undefined) {
      if (text.startsWith("```")) open = { line: index + 1, info: text.slice(3).trim(), lines: [] };
    } else if (text === "```") {
      snippets.push({ line: open.line, info: open.info, text: `${open.lines.join("\n")}\n` });
      open = undefined;
    } else {
      open.lines.push(text);
    }
  }
  if (open !== undefined) throw new SyntaxError(`the block that begins in line ${open.line} does not end`);
  return snippets;
}

/** Targets of links and pictures, without those that leave the repository. */
export function localLinks(markdown: string): readonly string[] {
  return [...withoutSnippets(markdown).matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? "")
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** Anchors of the headings, as GitHub makes them. */
export function anchorsOf(markdown: string): ReadonlySet<string> {
  const headings = withoutSnippets(markdown).matchAll(/^#+ +(.+)$/gm);
  return new Set(
    [...headings].map((match) =>
      (match[1] ?? "")
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
        .trim()
        .replaceAll(" ", "-"),
    ),
  );
}

/** Words in backticks that name a file or folder of the repository, without patterns and placeholders. */
export function namedPaths(markdown: string): readonly string[] {
  return [...withoutSnippets(markdown).matchAll(/`([^`\n]+)`/g)]
    .map((match) => match[1] ?? "")
    .filter((word) => /^(src|test|docs|scripts|proto|images|bench|telemetry|bin|\.ci)\/[\w./-]*$/.test(word));
}

function withoutSnippets(markdown: string): string {
  return markdown.replaceAll(/^```.*\n[\s\S]*?^```$/gm, "");
}
