/** PromQL → a tree, as far as it is needed to know which series and labels an expression speaks of. */

export interface Matcher {
  readonly label: string;
  readonly operator: "=" | "!=" | "=~" | "!~";
  readonly value: string;
}

export interface LabelList {
  readonly kind: "by" | "without" | "on" | "ignoring" | "group_left" | "group_right";
  readonly labels: readonly string[];
}

export type Expression =
  | { readonly kind: "number" }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "selector"; readonly metric: string | undefined; readonly matchers: readonly Matcher[] }
  | { readonly kind: "negation" | "range" | "subquery" | "offset"; readonly of: Expression }
  | { readonly kind: "call"; readonly name: string; readonly parameters: readonly Expression[] }
  | {
      readonly kind: "aggregation";
      readonly operator: string;
      readonly grouping: LabelList | undefined;
      /** The last one is what is aggregated. */
      readonly parameters: readonly Expression[];
    }
  | {
      readonly kind: "binary";
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
      readonly matching: LabelList | undefined;
      readonly group: LabelList | undefined;
    };

const aggregations = new Set(
  "sum avg count min max group stddev stdvar topk bottomk count_values quantile limitk limit_ratio".split(" "),
);

/** From the weakest; `^` binds to the right. */
const precedences: readonly (readonly string[])[] = [
  ["or"],
  ["and", "unless"],
  ["==", "!=", "<=", "<", ">=", ">"],
  ["+", "-"],
  ["*", "/", "%", "atan2"],
  ["^"],
];

// A duration may be one of Grafana's variables; strings and ranges are one token each.
const TOKEN = new RegExp(
  [
    String.raw`(?<space>\s+|#[^\n]*)`,
    String.raw`(?<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|${"`[^`]*`"})`,
    String.raw`(?<range>\[[^\]]*\])`,
    String.raw`(?<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+|(?:(?:ms|[smhdwy])\d*)+)?)`,
    String.raw`(?<name>\$?[a-zA-Z_:][\w:]*|\$\{\w+\})`,
    String.raw`(?<sign>=~|!~|==|!=|<=|>=|[-+*/%^<>=(){},@])`,
  ].join("|"),
  "y",
);

interface Token {
  readonly kind: "string" | "range" | "number" | "name" | "sign" | "end";
  readonly text: string;
}

/** @throws SyntaxError */
export function parsePromql(text: string): Expression {
  const tokens = tokenize(text);
  let position = 0;

  const peek = (): Token => tokens[position] ?? { kind: "end", text: "the end" };
  const is = (...texts: readonly string[]): boolean => peek().kind !== "string" && texts.includes(peek().text);
  function next(): Token {
    const token = peek();
    position++;
    return token;
  }
  function accept(...texts: readonly string[]): boolean {
    if (!is(...texts)) return false;
    position++;
    return true;
  }
  function expect(wanted: string): void {
    if (!accept(wanted)) throw new SyntaxError(`${wanted} expected before ${peek().text} in ${text}`);
  }

  function labels(): readonly string[] {
    const names: string[] = [];
    expect("(");
    while (!is(")")) {
      names.push(next().text);
      if (!accept(",")) break;
    }
    expect(")");
    return names;
  }

  function labelList<const K extends LabelList["kind"]>(...kinds: readonly K[]): LabelList | undefined {
    const kind = kinds.find((candidate) => is(candidate));
    if (kind === undefined) return undefined;
    next();
    // `group_left` may stand alone.
    return { kind, labels: is("(") || !kind.startsWith("group") ? labels() : [] };
  }

  function binary(level: number): Expression {
    const operators = precedences[level];
    if (operators === undefined) return unary();
    let left = binary(level + 1);
    while (is(...operators)) {
      const operator = next().text;
      accept("bool");
      const matching = labelList("on", "ignoring");
      const group = labelList("group_left", "group_right");
      const right = operator === "^" ? binary(level) : binary(level + 1);
      left = { kind: "binary", operator, left, right, matching, group };
    }
    return left;
  }

  function unary(): Expression {
    if (accept("+")) return unary();
    return accept("-") ? { kind: "negation", of: binary(precedences.length - 1) } : postfix(primary());
  }

  function postfix(of: Expression): Expression {
    let result = of;
    for (;;) {
      if (peek().kind === "range") result = { kind: next().text.includes(":") ? "subquery" : "range", of: result };
      else if (accept("offset")) {
        accept("-");
        next();
        result = { kind: "offset", of: result };
      } else if (accept("@")) {
        if (next().kind === "name") labels();
      } else return result;
    }
  }

  function parameters(): readonly Expression[] {
    const found: Expression[] = [];
    expect("(");
    while (!is(")")) {
      found.push(binary(0));
      if (!accept(",")) break;
    }
    expect(")");
    return found;
  }

  function matchers(): readonly Matcher[] {
    const found: Matcher[] = [];
    if (!accept("{")) return found;
    while (!is("}")) {
      const label = next().text;
      const operator = next().text as Matcher["operator"];
      if (!["=", "!=", "=~", "!~"].includes(operator))
        throw new SyntaxError(`no matcher: ${label}${operator} in ${text}`);
      const value = next();
      if (value.kind !== "string") throw new SyntaxError(`a string expected before ${value.text} in ${text}`);
      found.push({ label, operator, value: unquote(value.text) });
      if (!accept(",")) break;
    }
    expect("}");
    return found;
  }

  function primary(): Expression {
    if (is("(")) {
      next();
      const inner = binary(0);
      expect(")");
      return inner;
    }
    if (is("{")) return { kind: "selector", metric: undefined, matchers: matchers() };
    const token = next();
    if (token.kind === "number" || (token.kind === "name" && /^(?:inf|nan)$/i.test(token.text)))
      return { kind: "number" };
    if (token.kind === "string") return { kind: "string", value: unquote(token.text) };
    if (token.kind !== "name") throw new SyntaxError(`an expression expected before ${token.text} in ${text}`);
    if (aggregations.has(token.text)) {
      const before = labelList("by", "without");
      const given = parameters();
      return {
        kind: "aggregation",
        operator: token.text,
        parameters: given,
        grouping: before ?? labelList("by", "without"),
      };
    }
    if (is("(")) return { kind: "call", name: token.text, parameters: parameters() };
    return { kind: "selector", metric: token.text, matchers: matchers() };
  }

  const whole = binary(0);
  if (peek().kind !== "end") throw new SyntaxError(`${peek().text} is too much in ${text}`);
  return whole;
}

function tokenize(text: string): readonly Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const start = TOKEN.lastIndex;
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) throw new SyntaxError(`${text.slice(start, start + 20)} cannot be read in ${text}`);
    const [kind, found] = Object.entries(groups).find(([, value]) => value !== undefined) ?? [];
    if (kind !== "space") tokens.push({ kind: kind as Token["kind"], text: found ?? "" });
  }
  return tokens;
}

function unquote(quoted: string): string {
  const inner = quoted.slice(1, -1);
  return quoted.startsWith("`") ? inner : inner.replaceAll(/\\(.)/g, "$1");
}
