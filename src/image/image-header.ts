/**
 * What an import announces before its bytes: checked here, so that a stream that
 * can never become an image is refused before anything is stored.
 */
import { BlixardError } from "#model/errors.ts";
import type { ImageFileRole } from "#model/image.ts";
import { describe, hasControlCharacter, invalid, parseImageName } from "#model/names.ts";
import { approximateSize } from "#model/quantity.ts";

/** As it comes from a caller: nothing in it is trusted. */
export interface ImageHeaderInput {
  readonly name?: string | undefined;
  readonly files?: readonly ImageFileInput[] | undefined;
  readonly commandLine?: string | undefined;
  readonly guestAgent?: boolean | undefined;
  readonly operationId: string;
}

export interface ImageFileInput {
  readonly role?: string | undefined;
  readonly sizeBytes?: number | bigint | undefined;
}

export interface ImageHeader {
  readonly name: string;
  /** In the order in which their bytes follow; each role at most once. */
  readonly files: readonly AnnouncedFile[];
  readonly commandLine: string;
  readonly guestAgent: boolean;
  readonly operationId: string;
}

export interface AnnouncedFile {
  readonly role: ImageFileRole;
  readonly sizeBytes: number;
}

/**
 * A disk's manifest takes 34 bytes for each 4 MiB and must fit one transaction of the
 * store (1.5 MiB), which 64 GiB do with room to spare.
 */
const MAXIMUM_FILE_BYTES: Readonly<Record<ImageFileRole, number>> = {
  kernel: 256 * 2 ** 20,
  initrd: 2 * 2 ** 30,
  disk: 64 * 2 ** 30,
};
const ROLES = ["kernel", "initrd", "disk"] as const satisfies readonly ImageFileRole[];

/** Linux reads at most 2,048 characters on x86; a VM may append half of them. */
const MAXIMUM_COMMAND_LINE_LENGTH = 1024;

/** @throws BlixardError INVALID_ARGUMENT, with the field's path below `header` */
export function parseImageHeader(input: ImageHeaderInput): ImageHeader {
  const name = parseImageName(input.name, "header.name");
  const files = (input.files ?? []).slice(0, ROLES.length + 1).map(parseFile);
  requireBootable(files);
  return {
    name,
    files,
    commandLine: parseCommandLine(input.commandLine ?? "", files),
    guestAgent: input.guestAgent ?? false,
    operationId: input.operationId,
  };
}

function parseFile(input: ImageFileInput, index: number): AnnouncedFile {
  const field = `header.files[${index}]`;
  const role = ROLES.find((candidate) => candidate === input.role);
  if (role === undefined) {
    throw invalid(`${field}.role`, `${describe(input.role)} is not a role`, `Use ${ROLES.join(", ")}.`);
  }
  const sizeBytes = Number(input.sizeBytes ?? 0);
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1) {
    throw invalid(`${field}.sizeBytes`, `the ${role} is empty`, "Announce the file's size in bytes.");
  }
  if (sizeBytes > MAXIMUM_FILE_BYTES[role]) {
    const limit = approximateSize(MAXIMUM_FILE_BYTES[role]);
    throw invalid(
      `${field}.sizeBytes`,
      `a ${role} of ${approximateSize(sizeBytes)} is too large`,
      role === "disk"
        ? `Use at most ${limit}; give the VM a disk of its own for data, or convert the image to qcow2.`
        : `Use at most ${limit}.`,
    );
  }
  return { role, sizeBytes };
}

function requireBootable(files: readonly AnnouncedFile[]): void {
  const roles = files.map((file) => file.role);
  const repeated = roles.find((role, index) => roles.indexOf(role) !== index);
  if (repeated !== undefined) {
    throw invalid("header.files", `there are two files for the role "${repeated}"`, "Give each role once.");
  }
  if (!roles.includes("kernel") && !roles.includes("disk")) {
    throw new BlixardError("INVALID_ARGUMENT", "header.files: there is nothing to boot", {
      field: "header.files",
      hint: "Give a kernel (with an initrd, if it needs one) or a disk.",
    });
  }
  if (roles.includes("initrd") && !roles.includes("kernel")) {
    throw invalid("header.files", "an initrd needs a kernel", "Give the kernel too.");
  }
}

function parseCommandLine(text: string, files: readonly AnnouncedFile[]): string {
  const field = "header.commandLine";
  if (text.length > MAXIMUM_COMMAND_LINE_LENGTH || hasControlCharacter(text)) {
    throw invalid(
      field,
      "is not a kernel command line",
      `Use at most ${MAXIMUM_COMMAND_LINE_LENGTH} characters on one line.`,
    );
  }
  if (text !== "" && !files.some((file) => file.role === "kernel")) {
    throw invalid(field, "only a kernel takes a command line", "Leave it out: the disk's boot loader has its own.");
  }
  return text;
}
