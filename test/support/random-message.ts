/** Messages of the right shape with any content, for fuzzing; the same seed gives the same messages. */
import { create, ScalarType, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";

export interface Random {
  /** From 0 (inclusive) to 1. */
  next(): number;
  /** From 0 to `limit` − 1. */
  below(limit: number): number;
  pick<T>(choices: readonly [T, ...T[]]): T;
  bytes(length: number): Buffer;
}

/** A small generator with a seed (mulberry32): not for secrets. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    pick: (choices) => choices[below(choices.length)] ?? choices[0],
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  };
}

const texts = [
  "",
  "web-1",
  "demo",
  "node-1",
  "a",
  "../../etc/passwd",
  "\0",
  "💥",
  "x".repeat(300),
  "op-1",
  "create",
  "__proto__",
] as const;
const numbers = [0, 1, 2, 64, 65, 1000, 65_535, 2 ** 31 - 1, 4_294_967_295] as const;

export function randomMessage(schema: DescMessage, random: Random, depth = 0): Message {
  const init: Record<string, unknown> = {};
  for (const member of schema.members) {
    if (random.next() < 0.3) continue;
    if (member.kind === "field") init[member.localName] = randomField(member, random, depth);
    else {
      const chosen = member.fields[random.below(member.fields.length)];
      if (chosen !== undefined)
        init[member.localName] = { case: chosen.localName, value: randomField(chosen, random, depth) };
    }
  }
  return create(schema, init);
}

function randomField(field: DescField, random: Random, depth: number): unknown {
  switch (field.fieldKind) {
    case "list":
      return Array.from({ length: random.below(depth > 3 ? 1 : 5) }, () => randomElement(field, random, depth));
    case "map":
      return Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [randomText(random), randomElement(field, random, depth)]),
      );
    case "message":
      return depth > 5 ? undefined : randomMessage(field.message, random, depth + 1);
    case "enum":
      return randomEnum(random);
    case "scalar":
      return randomScalar(field.scalar, random);
  }
}

type Repeated = Extract<DescField, { fieldKind: "list" | "map" }>;

function randomElement(field: Repeated, random: Random, depth: number): unknown {
  const kind = field.fieldKind === "list" ? field.listKind : field.mapKind;
  if (kind === "message" && field.message !== undefined) return randomMessage(field.message, random, depth + 1);
  if (kind === "enum") return randomEnum(random);
  return randomScalar(field.scalar ?? ScalarType.STRING, random);
}

const randomEnum = (random: Random): number => random.pick([0, 1, 2, 3, 7, 99]);

function randomText(random: Random): string {
  return random.next() < 0.8 ? random.pick(texts) : random.bytes(random.below(20)).toString("latin1");
}

function randomScalar(type: ScalarType, random: Random): unknown {
  switch (type) {
    case ScalarType.STRING:
      return randomText(random);
    case ScalarType.BYTES:
      return random.bytes(random.below(100));
    case ScalarType.BOOL:
      return random.next() < 0.5;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return random.pick([0, -1.5, Number.NaN, Number.POSITIVE_INFINITY]);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return random.pick([0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return random.pick([0n, 1n, 4096n, 268_435_456n, 2n ** 53n, 2n ** 64n - 1n]);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return random.pick([0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return random.pick(numbers);
  }
}
