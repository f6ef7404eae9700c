import { testKeyValueStore } from "#test/support/key-value-store-contract.ts";
import { createMemoryKeyValueStore } from "./memory-key-value-store.ts";
import { createSystemClock } from "#telemetry/system-clock.ts";

testKeyValueStore(
  "the memory store",
  async () => {
    const store = createMemoryKeyValueStore({ clock: createSystemClock() });
    return {
      store,
      compact: async (revision) => store.compact(revision),
      [Symbol.asyncDispose]: () => store.close(),
    };
  },
  { modelRuns: 200 },
);
