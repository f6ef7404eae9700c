import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BlixardError } from "#model/errors.ts";
import { parsePageRequest, selectPage } from "./pages.ts";

const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/), { maxLength: 60 });
const sizing = { maximumBytes: 300, bytesOf: (name: string) => name.length * 10 };

test("walking the pages gives every item once, in order, whatever the page size and the order they come in", () => {
  fc.assert(
    fc.property(names, fc.integer({ min: 1, max: 70 }), fc.boolean(), (items, pageSize, limited) => {
      const seen: string[] = [];
      let pageToken = "";
      do {
        const request = parsePageRequest({ pageSize, pageToken });
        const page = limited ? selectPage(items, request, String, sizing) : selectPage(items, request, String);
        assert.ok(page.items.length <= pageSize);
        if (limited && page.items.length > 1)
          assert.ok(page.items.reduce((sum, name) => sum + sizing.bytesOf(name), 0) <= 300);
        seen.push(...page.items);
        pageToken = page.nextToken;
      } while (pageToken !== "");
      assert.deepEqual(
        seen,
        items.toSorted((left, right) => (left < right ? -1 : 1)),
      );
    }),
  );
});

test("whatever text comes as a page token, it is understood or refused with INVALID_ARGUMENT", () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(5000), (pageToken, pageSize) => {
      try {
        parsePageRequest({ pageSize, pageToken });
      } catch (error) {
        assert.ok(error instanceof BlixardError && error.code === "INVALID_ARGUMENT");
      }
    }),
  );
});
