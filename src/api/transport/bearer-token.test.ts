import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import { BlixardError } from "#model/errors.ts";
import { ensureTokenFile, isAuthorized } from "./bearer-token.ts";

async function tokenPath(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "blixard-token-"));
  context.after(() => rm(directory, { recursive: true }));
  return join(directory, "token");
}

test("the token is made once, readable by the owner alone, and is the same after a restart", async (context) => {
  const path = await tokenPath(context);
  const made = await Promise.all([ensureTokenFile(path), ensureTokenFile(path), ensureTokenFile(path)]);
  const again = await ensureTokenFile(path);
  for (const token of made) assert.equal(token.reveal(), again.reveal());
  assert.ok(again.reveal().length >= 43);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test("a token file that others could read is closed to them", async (context) => {
  const path = await tokenPath(context);
  await ensureTokenFile(path);
  await chmod(path, 0o644);
  await ensureTokenFile(path);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test("a token file without a token is an error that says what to do", async (context) => {
  const path = await tokenPath(context);
  for (const text of ["", "short", "with spaces and more than thirty-two characters"]) {
    await writeFile(path, text);
    await assert.rejects(ensureTokenFile(path), (error) => {
      assert.ok(error instanceof BlixardError && error.code === "DATA_DIRECTORY_UNUSABLE");
      assert.match(error.hint ?? "", /Delete/);
      return true;
    });
  }
});

test("only the token itself authorizes, and it never shows in text", async (context) => {
  const token = await ensureTokenFile(await tokenPath(context));
  assert.ok(isAuthorized(`Bearer ${token.reveal()}`, token));
  assert.ok(isAuthorized(`bearer ${token.reveal()}`, token));
  for (const header of [
    undefined,
    "",
    "Bearer",
    "Bearer ",
    `Basic ${token.reveal()}`,
    `Bearer ${token.reveal()}x`,
    token.reveal(),
  ]) {
    assert.equal(isAuthorized(header, token), false, String(header));
  }
  assert.doesNotMatch([String(token), inspect(token), JSON.stringify(token)].join(" "), new RegExp(token.reveal()));
});
