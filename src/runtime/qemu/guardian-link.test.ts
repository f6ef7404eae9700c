/** The link to the guardian: what is told of a guardian that is lost, and how the next one is found. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { guardianExited } from "#gen/telemetry/events.ts";
import type { EnsuredGuardian } from "#guardian/ensure-guardian.ts";
import type { GuardianClient } from "#guardian/guardian-client.ts";
import { BlixardError } from "#model/errors.ts";
import { type ProcessIdentity, readIdentity } from "#process/identity.ts";
import { createManualClock } from "#test/support/manual-clock.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#test/support/memory-telemetry.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createGuardianLink, type GuardianLink } from "./guardian-link.ts";

/** Its process counts as alive while this test runs. */
const alive = readIdentity(process.pid) as ProcessIdentity;
const gone: ProcessIdentity = { ...alive, startTicks: alive.startTicks - 1 };
const successor: ProcessIdentity = { ...alive, pid: alive.pid + 1 };

class FakeGuardian {
  readonly client: GuardianClient;
  readonly #closed = Promise.withResolvers<void>();

  constructor(identity: ProcessIdentity, list: () => Promise<[]> = async () => []) {
    this.client = {
      hello: { protocol: 1, identity, guestCount: 0 },
      closed: this.#closed.promise,
      list,
      shutdown: async () => {},
      close: () => this.hangUp(),
    } as unknown as GuardianClient;
  }

  hangUp(): void {
    this.#closed.resolve();
  }
}

let telemetry: MemoryTelemetry;
let reconnections: GuardianClient[];

/** A link that finds these in turn; an undefined one cannot be reached. */
function linkTo(...guardians: (FakeGuardian | undefined)[]): GuardianLink {
  const clock = createManualClock();
  return createGuardianLink({
    ensure: async (): Promise<EnsuredGuardian> => {
      const next = guardians.shift();
      if (next !== undefined) return { client: next.client, adopted: true };
      setImmediate(() => void clock.advance(5_000));
      throw new BlixardError("GUARDIAN_UNAVAILABLE", "no guardian");
    },
    onExited: () => {},
    onReconnected: (client) => reconnections.push(client),
    clock,
    telemetry,
  });
}

function toldExits(): number {
  return telemetry.logs.filter(({ eventName }) => eventName === guardianExited.name).length;
}

beforeEach(() => {
  telemetry = createMemoryTelemetry();
  reconnections = [];
});

describe("the link to the guardian", () => {
  const lost = [
    ["tells the end of a guardian that is dead when its connection closes", gone, 0],
    ["tells it too when the process still dies as its connection closes", alive, 0],
    ["tells one end, however often the next guardian cannot be reached", gone, 2],
  ] as const;
  for (const [promise, identity, failures] of lost) {
    it(promise, async () => {
      const first = new FakeGuardian(identity);
      const link = linkTo(first, ...Array.from({ length: failures }, () => undefined), new FakeGuardian(successor));
      await link.start();
      first.hangUp();
      await waitFor("the next guardian", () => reconnections.length === 1);
      assert.equal(toldExits(), 1);
      await link.stop();
    });
  }

  it("tells no end when only the connection broke off", async () => {
    const [first, again] = [new FakeGuardian(alive), new FakeGuardian(alive)];
    const link = linkTo(first, again);
    await link.start();
    first.hangUp();
    await waitFor("the new connection", () => reconnections.length === 1);
    assert.equal(toldExits(), 0);
    assert.equal(await link.client(), again.client);
    await link.stop();
  });

  it("connects anew when the guardian does not tell its guests", async () => {
    const first = new FakeGuardian(alive);
    const mute = new FakeGuardian(alive, () => Promise.reject(new Error("mute")));
    const third = new FakeGuardian(alive);
    const link = linkTo(first, mute, third);
    await link.start();
    first.hangUp();
    await waitFor("the third connection", () => reconnections.length === 1);
    assert.deepEqual(reconnections, [third.client]);
    await link.stop();
  });
});
