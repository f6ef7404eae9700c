import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type BaggageMember, baggageLimits, createKeyFilter, formatBaggage, parseBaggage } from "./baggage.ts";

const key = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,20}$/);
const property = fc.stringMatching(/^;[a-z]{1,5}(=[!#-+\--:<-[\]-~]{0,5})?$/);
const member: fc.Arbitrary<BaggageMember> = fc
  .tuple(key, fc.string({ unit: "grapheme", maxLength: 20 }), fc.array(property, { maxLength: 2 }))
  .map(([name, value, properties]) => ({ key: name, value, properties: properties.join("") }));
const members = fc.uniqueArray(member, { maxLength: 20, selector: (one) => one.key });

test("what is written is read again, whatever the values are", () => {
  fc.assert(
    fc.property(members, (written) => {
      const { header, dropped } = formatBaggage(written);
      assert.equal(dropped, 0);
      assert.deepEqual(parseBaggage(header ?? ""), { members: written, malformed: 0, excess: 0 });
    }),
  );
});

test("a header is ASCII and within its limits; members that do not fit are left out whole", () => {
  fc.assert(
    fc.property(fc.array(member, { maxLength: 100 }), fc.integer({ min: 1, max: 3_000 }), (few, length) => {
      const written = few.map((one, index) => ({ ...one, key: `k${index}`, value: one.value.padEnd(length, "é") }));
      const { header = "", dropped } = formatBaggage(written);
      assert.match(header, /^[\x21-\x7e]*$/);
      assert.ok(header.length <= baggageLimits.bytes);
      const kept = parseBaggage(header).members;
      assert.ok(kept.length <= baggageLimits.members);
      assert.equal(kept.length + dropped, written.length);
      for (const one of kept) assert.ok(written.some((other) => other.key === one.key && other.value === one.value));
    }),
  );
});

test("any text is taken without failing, and what is kept can be passed on", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.stringMatching(/^[a-c=,;% "]*$/)), (text) => {
      const { members: kept } = parseBaggage(text);
      assert.deepEqual(parseBaggage(formatBaggage(kept).header ?? "").members, kept);
    }),
  );
});

test("blanks are no part of a member, malformed members are left out and the others kept", () => {
  assert.deepEqual(parseBaggage(' user = alice ;p1; p2 = v , no-value, bad key=1, q="x", ,t=%E2%82%AC'), {
    members: [
      { key: "user", value: "alice", properties: ";p1;p2 = v" },
      { key: "t", value: "€", properties: "" },
    ],
    malformed: 3,
    excess: 0,
  });
  assert.deepEqual(parseBaggage("a=%ff%zz").members, [{ key: "a", value: "\u{FFFD}%zz", properties: "" }]);
  assert.deepEqual(
    parseBaggage("a=1,b=2,a=3").members.map((one) => one.key + one.value),
    ["a3", "b2"],
  );
});

test("ten megabytes are looked at no further than their beginning", () => {
  const many = parseBaggage("k=v,".repeat(2_500_000));
  assert.equal(many.excess, 1);
  assert.deepEqual(many.members, [{ key: "k", value: "v", properties: "" }]);
  const huge = parseBaggage(`first=1,large=${"x".repeat(10_000_000)}`);
  assert.deepEqual(huge, { members: [{ key: "first", value: "1", properties: "" }], malformed: 0, excess: 1 });
});

test("an allow-list names keys and beginnings of keys", () => {
  const isAllowed = createKeyFilter(["user", "blixard.*"]);
  assert.deepEqual(["user", "users", "blixard.a", "blixard", ""].map(isAllowed), [true, false, true, false, false]);
  assert.ok(createKeyFilter(["*"])("anything"));
  assert.ok(!createKeyFilter([])("anything"));
});
