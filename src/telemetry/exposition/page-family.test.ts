import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { familyOf, histogramOf, numberOf } from "#test/support/page-families.ts";
import { createConflictWarning } from "./conflict-warning.ts";
import { type FamilyConflict, planPage } from "./page-family.ts";

const library = { name: "library", version: "1.0" };

describe("families of one Prometheus name", () => {
  test("of the same type are one family", () => {
    const { families, conflicts } = planPage([
      familyOf({ name: "a.b", instrument: "gauge" }, [numberOf(1)], library),
      familyOf({ name: "a_b", instrument: "updowncounter" }, [numberOf(2)], { name: "other" }),
    ]);
    assert.equal(families.length, 1);
    assert.equal(families[0]?.parts.length, 2);
    assert.deepEqual(conflicts, []);
  });

  test("of different types: the later one is left out, and said", () => {
    const { families, conflicts } = planPage([
      familyOf({ name: "a.b", instrument: "gauge" }, [numberOf(1)], library),
      familyOf({ name: "a_b", instrument: "histogram" }, [histogramOf([1], [1, 0])], library),
    ]);
    assert.deepEqual(
      families.map(({ name, type, parts }) => [name, type, parts.length]),
      [["a_b", "gauge", 1]],
    );
    assert.deepEqual(conflicts, [{ kind: "type", prometheusName: "a_b", kept: "a.b", other: "a_b" }]);
  });

  test("with different help or unit: the first text is kept, and said", () => {
    const { families, conflicts } = planPage([
      familyOf({ name: "a.bytes", instrument: "gauge", unit: "By", brief: "One." }, [numberOf(1)], library),
      familyOf({ name: "a_bytes", instrument: "gauge", unit: "{x}", brief: "Two." }, [numberOf(2)], library),
    ]);
    assert.deepEqual(
      families.map(({ help, unit, parts }) => [help, unit, parts.length]),
      [["One.", "bytes", 2]],
    );
    assert.deepEqual(conflicts.map(({ kind }) => kind).toSorted(), ["help", "unit"]);
  });

  test("ours is never displaced by a third party's", () => {
    const { families, conflicts } = planPage([
      familyOf({ name: "a_b", instrument: "counter", prometheusName: "a_b" }, [numberOf(1)], library),
      familyOf({ name: "a.b", instrument: "gauge" }, [numberOf(2)]),
    ]);
    assert.deepEqual(
      families.map(({ type, parts }) => [type, parts[0]?.descriptor.name]),
      [["gauge", "a.b"]],
    );
    assert.equal(conflicts[0]?.other, "a_b");
  });

  for (const [name, other] of [
    ["calls", "calls_count"],
    ["calls", "calls_created"],
    ["calls", "calls_bucket"],
  ] as const) {
    test(`a gauge called ${other} does not pass for a part of the histogram ${name}`, () => {
      const { families, conflicts } = planPage([
        familyOf({ name, instrument: "histogram" }, [histogramOf([1], [1, 0])]),
        familyOf({ name: other, instrument: "gauge" }, [numberOf(1)], library),
      ]);
      assert.equal(families.length, 1);
      assert.deepEqual(conflicts, [{ kind: "name", prometheusName: other, kept: name, other }]);
    });
  }

  test("nobody is target_info but the resource", () => {
    for (const instrument of ["info", "gauge"] as const) {
      const { families, conflicts } = planPage([
        familyOf({ name: instrument === "info" ? "target" : "target.info", instrument }, [numberOf(1)], library),
      ]);
      assert.deepEqual(families, []);
      assert.equal(conflicts[0]?.kept, "target");
    }
  });

  test("a name is said once, however often the page is asked for", () => {
    const lines: string[] = [];
    const warn = createConflictWarning({ warn: (message) => void lines.push(message) });
    const conflict: FamilyConflict = { kind: "type", prometheusName: "a_b", kept: "a.b", other: "a_b" };
    for (let scrape = 0; scrape < 3; scrape++) warn(conflict);
    warn({ ...conflict, kind: "help" });
    assert.deepEqual(lines, [
      "a.b and a_b are both a_b in Prometheus: a_b is not on the page",
      "a.b and a_b are both a_b in Prometheus: the help of a_b is not on the page",
    ]);
  });
});
