/** The secret that proves a caller on TCP may read the node's own files. */
import { randomBytes, timingSafeEqual, hash } from "node:crypto";
import { chmod, link, readFile, rm, stat, writeFile } from "node:fs/promises";
import { BlixardError } from "#model/errors.ts";
import { Secret } from "#model/secret.ts";

const TOKEN_BYTES = 32;
const TOKEN = /^[A-Za-z0-9_-]{32,128}$/;

/**
 * The token in the file; made, readable by the owner alone, if there is none.
 * @throws BlixardError DATA_DIRECTORY_UNUSABLE
 */
export async function ensureTokenFile(path: string): Promise<Secret> {
  try {
    const existing = await readToken(path);
    if (existing !== undefined) return existing;
    // Written beside and linked: a reader never sees half a token, and of two writers one wins.
    const temporary = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
    await writeFile(temporary, `${randomBytes(TOKEN_BYTES).toString("base64url")}\n`, { mode: 0o600, flag: "wx" });
    try {
      await link(temporary, path);
    } catch (error) {
      if (!isCode(error, "EEXIST")) throw error;
    } finally {
      await rm(temporary, { force: true });
    }
    const made = await readToken(path);
    if (made !== undefined) return made;
    throw new Error("it vanished");
  } catch (error) {
    if (error instanceof BlixardError) throw error;
    throw new BlixardError("DATA_DIRECTORY_UNUSABLE", `cannot read or make the token file ${path}`, {
      cause: error,
      hint: "Check the directory's owner and permissions.",
    });
  }
}

async function readToken(path: string): Promise<Secret | undefined> {
  let text: string;
  try {
    text = (await readFile(path, "utf8")).trim();
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
  if (!TOKEN.test(text)) {
    throw new BlixardError("DATA_DIRECTORY_UNUSABLE", `the token file ${path} holds no token`, {
      hint: "Delete it: the node makes a new one.",
    });
  }
  if (((await stat(path)).mode & 0o077) !== 0) await chmod(path, 0o600);
  return new Secret(text);
}

/** Whether an `Authorization` header carries the token; takes the same time whatever it carries. */
export function isAuthorized(authorization: string | undefined, token: Secret): boolean {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1] ?? "";
  return timingSafeEqual(hash("sha256", given, "buffer"), hash("sha256", token.reveal(), "buffer"));
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
