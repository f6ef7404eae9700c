/** Content-addressed images: a manifest in the store, chunks on the nodes. */

export type ImageFileRole = "kernel" | "initrd" | "disk";
export type DiskFormat = "raw" | "qcow2";

export interface ImageFile {
  readonly role: ImageFileRole;
  readonly sizeBytes: number;
  /** Hex, of the whole file. */
  readonly sha256: string;
  /** Disks only. */
  readonly diskFormat: DiskFormat | undefined;
  readonly chunkSizeBytes: number;
  /** Hex, in order. */
  readonly chunkSha256: readonly string[];
}

/** images/<name>. */
export interface ImageManifest {
  readonly name: string;
  /** `sha256:` and hex, over the files' roles, formats and sums, the command line and the agent flag. */
  readonly digest: string;
  readonly files: readonly ImageFile[];
  readonly commandLine: string;
  readonly guestAgent: boolean;
  readonly createTimeMs: number;
  readonly operationId: string;
}

/** An image's files as whole files on this node, ready for a hypervisor. */
export interface MaterializedImage {
  readonly digest: string;
  readonly kernelPath: string | undefined;
  readonly initrdPath: string | undefined;
  readonly disk: { readonly path: string; readonly format: DiskFormat } | undefined;
  readonly commandLine: string;
  readonly guestAgent: boolean;
}
