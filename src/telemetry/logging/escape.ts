/**
 * Text from guests, peers and users goes into logs: whatever could move a terminal's
 * cursor, forge a second line or hide text is shown as an escape.
 * C0 and C1 controls, DEL, line separators, and the characters that turn writing
 * direction or take no room (Unicode "Bidi_Control" and zero width).
 */
// oxfmt-ignore
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export function escapeControls(text: string): string {
  return text.replace(UNSAFE, (character) => SHORT[character] ?? unicodeEscape(character));
}

/** For text that already is JSON: every escape stays valid inside a JSON string. */
export function escapeJsonControls(json: string): string {
  return json.replace(UNSAFE, unicodeEscape);
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
