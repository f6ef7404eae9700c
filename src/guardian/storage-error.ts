/** Failures of the file system as errors that say what to do. */
import { BlixardError, toBlixardError } from "#model/errors.ts";

export function toStorageError(error: unknown, message: string): BlixardError {
  if (error instanceof BlixardError || !isSystemError(error)) return toBlixardError(error);
  const isFull = error.code === "ENOSPC" || error.code === "EDQUOT";
  return new BlixardError(isFull ? "DISK_FULL" : "DATA_DIRECTORY_UNUSABLE", `${message}: ${error.message}`, {
    cause: error,
    hint: isFull ? "free space in the data directory" : "check the data directory and its permissions",
  });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error && "syscall" in error;
}
