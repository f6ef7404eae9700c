/** The shipped configuration for Tempo: a real guest's creation in a real Tempo, as the node itself tells of it. */
import { after, before, test } from "node:test";
import { missingBackends } from "#test/stack/support/backends.ts";
import { assertSameTrace } from "#test/stack/support/compare-traces.ts";
import { Scenario } from "#test/stack/support/scenario.ts";
import { Stack } from "#test/stack/support/stack.ts";

const skip = missingBackends(["collector", "tempo", "loki", "prometheus"]);
let stack: Stack;

before(async () => {
  if (skip !== false) return;
  stack = await Stack.start({ services: ["tempo", "loki", "prometheus"], collectorConfiguration: "tempo" });
});

after(() => stack?.[Symbol.asyncDispose]());

test("a creation is in Tempo, span for span with services, parents, links and statuses", { skip }, async () => {
  await new Scenario(stack.cluster).create();
  await assertSameTrace(await stack.cluster.trace("web"), stack.tempo);
});
