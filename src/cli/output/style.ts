/** Colours, or none: only on a terminal, and never against NO_COLOR (no-color.org) or TERM=dumb. */

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  cyan: [36, 39],
} as const;

export type StyleName = keyof typeof CODES;
export type Style = (name: StyleName, text: string) => string;

export const plainStyle: Style = (_name, text) => text;

const colouredStyle: Style = (name, text) => {
  const [start, end] = CODES[name];
  return text === "" ? text : `\u001B[${start}m${text}\u001B[${end}m`;
};

export function chooseStyle(
  stream: { readonly isTerminal: boolean },
  environment: Readonly<Record<string, string | undefined>>,
): Style {
  const refused = (environment["NO_COLOR"] ?? "") !== "" || environment["TERM"] === "dumb";
  return stream.isTerminal && !refused ? colouredStyle : plainStyle;
}

/** Whether drawing characters will show: only a locale that says otherwise speaks against it. */
export function supportsUnicode(environment: Readonly<Record<string, string | undefined>>): boolean {
  const locale = environment["LC_ALL"] || environment["LC_CTYPE"] || environment["LANG"] || "";
  return locale === "" || /utf-?8/i.test(locale);
}
