import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { SharedPage } from "./shared-page.ts";

const never = (): void => assert.fail("a reader was cut off that keeps up");

function pageOf(
  count: number,
  maximumLagBytes = Infinity,
): { page: SharedPage; made: () => number; ended: () => boolean } {
  let made = 0;
  let ended = false;
  async function* chunks(): AsyncGenerator<Buffer, void, void> {
    try {
      for (; made < count;) yield Buffer.from(`${++made};`);
    } finally {
      ended = true;
    }
  }
  return { page: new SharedPage({ chunks: chunks(), maximumLagBytes }), made: () => made, ended: () => ended };
}

async function readAll(chunks: AsyncIterable<Buffer>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += chunk.toString();
  return text;
}

describe("a page that several read", () => {
  test("is made once, and everybody gets all of it", async () => {
    const { page, made } = pageOf(5);
    const readers = [page.join(never), page.join(never), page.join(never)];
    assert.deepEqual(await Promise.all(readers.map(readAll)), Array(3).fill("1;2;3;4;5;"));
    assert.equal(made(), 5);
  });

  test("is made no faster than the fastest reads", async () => {
    const { page, made } = pageOf(100);
    using reader = page.join(never);
    const chunks = reader[Symbol.asyncIterator]();
    await chunks.next();
    await chunks.next();
    assert.equal(made(), 2);
  });

  test("begins at the beginning for those who come late", async () => {
    const { page } = pageOf(4);
    using first = page.join(never);
    const chunks = first[Symbol.asyncIterator]();
    await chunks.next();
    await chunks.next();
    using late = page.join(never);
    assert.equal(await readAll(late), "1;2;3;4;");
    assert.equal((await chunks.next()).value?.toString(), "3;");
  });

  test("can be joined no more once its beginning may be forgotten", () => {
    const { page } = pageOf(4);
    using _reader = page.join(never);
    page.closeEntry();
    assert.equal(page.open, false);
    assert.throws(() => page.join(never));
  });

  test("is not made to its end when nobody is left", async () => {
    const { page, made, ended } = pageOf(100);
    {
      using reader = page.join(never);
      await reader[Symbol.asyncIterator]().next();
    }
    assert.equal(page.open, false);
    assert.equal(made(), 1);
    await waitFor("the end", ended);
  });

  test("cuts off one who falls too far behind another, and nobody who reads alone", async () => {
    const { page } = pageOf(100, 20);
    let cuts = 0;
    using slow = page.join(() => void cuts++);
    using fast = page.join(never);
    const chunks = slow[Symbol.asyncIterator]();
    await chunks.next();
    await readAll(fast);
    assert.ok(cuts > 0);
    assert.equal((await readAll(pageOf(100, 1).page.join(never))).length, 292);
  });

  test("fails for all when it cannot be made", async () => {
    async function* chunks(): AsyncGenerator<Buffer, void, void> {
      yield Buffer.from("1;");
      throw new Error("broken");
    }
    const page = new SharedPage({ chunks: chunks(), maximumLagBytes: Infinity });
    const results = await Promise.allSettled([page.join(never), page.join(never)].map(readAll));
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "rejected"],
    );
  });
});
