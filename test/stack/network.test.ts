/** The network that the other tests of the stack stand on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { StackNetwork } from "#test/stack/support/stack-network.ts";
import { waitFor } from "#test/support/wait-for.ts";

test("services reach each other by name, each with its own address and ports", async () => {
  await using network = await StackNetwork.create();
  const server = `require("node:http").createServer((q, r) => r.end(q.socket.remoteAddress)).listen(4317)`;
  for (const service of ["jaeger", "tempo"]) await network.spawn(service, process.execPath, ["-e", server]);
  await network.add("blixard");
  for (const service of ["jaeger", "tempo"]) {
    const client = `fetch("http://${service}:4317").then((r) => r.text()).then(console.log, () => process.exit(1))`;
    const seen = await waitFor("an answer", async () => {
      await using asking = await network.spawn("blixard", process.execPath, ["-e", client]);
      await waitFor("its end", () => asking.hasEnded);
      return asking.output.trim() || undefined;
    });
    assert.ok(seen.endsWith(await network.add("blixard")), seen);
  }
});
