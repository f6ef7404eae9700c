/** Lists in pages, ordered by name: a page begins after the last name of the one before. Pure. */
import { BlixardError } from "#model/errors.ts";

export interface PageRequest {
  readonly size: number;
  /** Exclusive; undefined: from the beginning. */
  readonly after: string | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Empty: that was all. */
  readonly nextToken: string;
}

const MAXIMUM_PAGE_SIZE = 1000;
const MAXIMUM_NAME_LENGTH = 128;

/** @throws BlixardError INVALID_ARGUMENT */
export function parsePageRequest(request: { readonly pageSize: number; readonly pageToken: string }): PageRequest {
  if (request.pageSize > MAXIMUM_PAGE_SIZE) {
    throw new BlixardError("INVALID_ARGUMENT", `pageSize: ${request.pageSize} is too large`, {
      field: "pageSize",
      hint: `Use 1 to ${MAXIMUM_PAGE_SIZE}.`,
    });
  }
  return {
    size: request.pageSize === 0 ? MAXIMUM_PAGE_SIZE : request.pageSize,
    after: request.pageToken === "" ? undefined : nameOfToken(request.pageToken),
  };
}

/**
 * The page's items in order. Looks at each item once and keeps few at a time, so that a
 * page of a hundred thousand costs no sort of all of them.
 * @param maximumBytes the page ends early rather than grow beyond this, after one item at least
 */
export function selectPage<T>(
  items: Iterable<T>,
  page: PageRequest,
  nameOf: (item: T) => string,
  sizing?: { readonly maximumBytes: number; readonly bytesOf: (item: T) => number },
): Page<T> {
  const wanted = page.size + 1;
  const byName = (left: T, right: T): number => (nameOf(left) < nameOf(right) ? -1 : 1);
  let candidates: T[] = [];
  for (const item of items) {
    if (page.after !== undefined && nameOf(item) <= page.after) continue;
    candidates.push(item);
    if (candidates.length >= wanted * 4) candidates = candidates.sort(byName).slice(0, wanted);
  }
  candidates.sort(byName);
  const fitting = sizing === undefined ? candidates.length : countFitting(candidates, sizing);
  const selected = candidates.slice(0, Math.min(page.size, fitting));
  const last = selected.at(-1);
  const isComplete = last === undefined || selected.length === candidates.length;
  return { items: selected, nextToken: isComplete ? "" : tokenOf(nameOf(last)) };
}

function countFitting<T>(
  items: readonly T[],
  { maximumBytes, bytesOf }: { readonly maximumBytes: number; readonly bytesOf: (item: T) => number },
): number {
  let bytes = 0;
  const tooMany = items.findIndex((item, index) => {
    bytes += bytesOf(item);
    return bytes > maximumBytes && index > 0;
  });
  return tooMany === -1 ? items.length : tooMany;
}

function tokenOf(name: string): string {
  return Buffer.from(name, "utf8").toString("base64url");
}

function nameOfToken(token: string): string {
  const name = Buffer.from(token, "base64url").toString("utf8");
  if (name !== "" && name.length <= MAXIMUM_NAME_LENGTH && tokenOf(name) === token) return name;
  throw new BlixardError("INVALID_ARGUMENT", "pageToken: this is no page token of this list", {
    field: "pageToken",
    hint: "Send the nextPageToken of the page before, unchanged, or none for the first page.",
  });
}
