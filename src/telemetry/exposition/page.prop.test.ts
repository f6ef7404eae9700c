import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { vmUptime } from "#gen/telemetry/metrics.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { readPage } from "#test/support/openmetrics-validator.ts";
import { createMetricsEngine } from "../metrics/metrics-engine.ts";
import { renderPage } from "./page.ts";

/** Any text, with what must be escaped made likely. */
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom("\\", '"', "\n", "n", "{", "}", ",", "=", "é", "\u{1F600}", "\u0000", "\r") }),
);

test("any attribute values and numbers are read back from the page as they were", () => {
  const series = fc.uniqueArray(fc.record({ id: anyText, name: anyText, value: fc.double({ noNaN: true }) }), {
    selector: ({ id, name }) => JSON.stringify([id.toWellFormed(), name.toWellFormed()]),
    maxLength: 12,
  });
  fc.assert(
    fc.property(series, fc.constantFrom("openmetrics", "prometheus_text"), (wanted, format) => {
      const engine = createMetricsEngine({ clock: createManualClock() });
      for (const { id, name, value } of wanted) {
        engine.bind(vmUptime, { "blixard.vm.id": id, "blixard.vm.name": name }).set(value);
      }
      const chunks = [
        ...renderPage(engine.families(), { format, resource: { x: wanted[0]?.name ?? "" }, chunkBytes: 256 }),
      ];
      // A carriage return is a character like any other inside a label; the reader refuses it to find CR LF.
      const text = Buffer.concat(chunks).toString().replaceAll("\r", "\u2424");
      const family = readPage(text, format).find(({ name }) => name === vmUptime.prometheusName);
      const read = (family?.samples ?? []).map(({ labels, value }) => [
        labels.get("blixard_vm_id"),
        labels.get("blixard_vm_name"),
        value,
      ]);
      const expected = wanted.map(({ id, name, value }) => [
        id.toWellFormed().replaceAll("\r", "\u2424"),
        name.toWellFormed().replaceAll("\r", "\u2424"),
        value === 0 ? 0 : value,
      ]);
      assert.deepEqual(read, expected);
    }),
    { numRuns: 300 },
  );
});
