/**
 * The texts that users choose: names of VMs and images, operation ids, labels.
 * Every parser takes anything and gives the text or a BlixardError
 * INVALID_ARGUMENT that names the field.
 */
import { BlixardError } from "./errors.ts";

const VM_NAME = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
const IMAGE_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const VM_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const OPERATION_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const NODE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const LABEL_KEY = /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/;
const MAXIMUM_LABELS = 64;
const MAXIMUM_LABEL_VALUE_LENGTH = 253;

/** Lower-case letters, digits and `-`, 1 to 63, starting with a letter, not ending with `-`, and not in the form of a VM's id. */
export function parseVmName(value: unknown, field = "name"): string {
  if (typeof value !== "string" || !VM_NAME.test(value)) {
    throw invalid(
      field,
      `${describe(value)} is not a VM name`,
      "Use 1 to 63 lower-case letters, digits and '-', starting with a letter and not ending with '-'.",
    );
  }
  if (VM_ID.test(value)) {
    throw invalid(field, `"${value}" has the form of a VM's id`, "Choose another name, ids are given by Blixard.");
  }
  return value;
}

/** Lower-case letters, digits, `-`, `_` and `.`, 1 to 63, starting with a letter or a digit. */
export function parseImageName(value: unknown, field = "name"): string {
  if (typeof value === "string" && IMAGE_NAME.test(value)) return value;
  throw invalid(
    field,
    `${describe(value)} is not an image name`,
    "Use 1 to 63 lower-case letters, digits, '-', '_' and '.', starting with a letter or a digit.",
  );
}

/** A name or an id of a VM, as requests give it. */
export function parseVmReference(value: unknown, field = "vm"): string {
  if (typeof value === "string" && (VM_NAME.test(value) || VM_ID.test(value))) return value;
  throw invalid(
    field,
    `${describe(value)} is neither a VM's name nor an id`,
    "Give the name or the id that `blixard vm list` shows.",
  );
}

/** The caller's id, or undefined when it left the choice to the node. At most 128 characters. */
export function parseOperationId(value: unknown, field = "operationId"): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (typeof value === "string" && OPERATION_ID.test(value)) return value;
  throw invalid(
    field,
    `${describe(value)} is not an operation id`,
    "Use 1 to 128 letters, digits, '.', '_', ':' and '-', e.g. a UUID.",
  );
}

/** Letters, digits, `.`, `_` and `-`, 1 to 63. */
export function parseNodeId(value: unknown, field = "node"): string {
  if (typeof value === "string" && NODE_ID.test(value)) return value;
  throw invalid(
    field,
    `${describe(value)} is not a node id`,
    "Use 1 to 63 letters, digits, '.', '_' and '-', starting with a letter or a digit.",
  );
}

/** At most 64; keys of at most 63 characters, values of at most 253 without control characters. */
export function parseLabels(value: unknown, field = "labels"): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw invalid(field, "labels are not a table of texts", 'Write them as key = "value".');
  }
  const entries: [string, unknown][] = Object.entries(value);
  if (entries.length > MAXIMUM_LABELS) {
    throw invalid(field, `${entries.length} labels are too many`, `Keep at most ${MAXIMUM_LABELS}.`);
  }
  return Object.fromEntries(
    entries.map(([key, text]) => [parseLabelKey(key, field), parseLabelValue(text, `${field}.${key}`)]),
  );
}

function parseLabelKey(key: string, field: string): string {
  if (LABEL_KEY.test(key)) return key;
  throw invalid(
    field,
    `${describe(key)} is not a label key`,
    "Use 1 to 63 letters, digits, '.', '_', '/' and '-', starting and ending with a letter or a digit.",
  );
}

function parseLabelValue(value: unknown, field: string): string {
  if (typeof value === "string" && value.length <= MAXIMUM_LABEL_VALUE_LENGTH && !hasControlCharacter(value))
    return value;
  throw invalid(
    field,
    `${describe(value)} is not a label value`,
    `Use a text of at most ${MAXIMUM_LABEL_VALUE_LENGTH} characters without control characters.`,
  );
}

/** Controls (C0, DEL, C1) and lone surrogates: what would break a line, a terminal or UTF-8. */
export function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text) || !text.isWellFormed();
}

/** A value for a message: quoted, printable and short. */
export function describe(value: unknown): string {
  if (typeof value === "string")
    return value.length > 80 ? `${JSON.stringify(value.slice(0, 80))}…` : JSON.stringify(value);
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  return value === null ? "null" : typeof value;
}

export function invalid(field: string, message: string, hint: string): BlixardError {
  return new BlixardError("INVALID_ARGUMENT", `${field}: ${message}`, { field, hint });
}
