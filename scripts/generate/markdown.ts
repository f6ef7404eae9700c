/** Pieces of Markdown. */

/** Text for one cell of a table. */
export function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
