// Writes the "newc" cpio archive that Linux unpacks as its first file system. Every field that could differ
// between two builds (times, owners, inode numbers, order) is fixed, so that equal inputs give equal bytes.

const DIRECTORY = 0o040755;
const FILE = 0o100644;
const EXECUTABLE = 0o100755;
const SYMBOLIC_LINK = 0o120777;
const CHARACTER_DEVICE = 0o020600;
const TRAILER = "TRAILER!!!";

/** One entry; `path` has no leading slash. Folders are added by themselves. */
export type CpioEntry =
  | { kind: "file"; path: string; content: Buffer; executable: boolean }
  | { kind: "link"; path: string; target: string }
  | { kind: "device"; path: string; major: number; minor: number }
  | { kind: "folder"; path: string };

/** The archive, sorted by path, with every folder before what it holds. */
export function createCpioArchive(entries: readonly CpioEntry[]): Buffer {
  const byPath = new Map<string, CpioEntry>();
  for (const entry of entries) {
    for (const folder of parentFolders(entry.path)) byPath.set(folder, { kind: "folder", path: folder });
    if (byPath.has(entry.path)) throw new Error(`two entries for ${entry.path}`);
    byPath.set(entry.path, entry);
  }
  const sorted = [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const parts = sorted.flatMap((entry, index) => encodeEntry(entry, index + 1));
  parts.push(...encodeRecord({ path: TRAILER, inode: 0, mode: 0, content: Buffer.alloc(0), major: 0, minor: 0 }));
  return Buffer.concat(parts);
}

function parentFolders(path: string): string[] {
  const names = path.split("/").slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}

function encodeEntry(entry: CpioEntry, inode: number): Buffer[] {
  const none = { path: entry.path, inode, content: Buffer.alloc(0), major: 0, minor: 0 };
  switch (entry.kind) {
    case "folder":
      return encodeRecord({ ...none, mode: DIRECTORY });
    case "file":
      return encodeRecord({ ...none, mode: entry.executable ? EXECUTABLE : FILE, content: entry.content });
    case "link":
      return encodeRecord({ ...none, mode: SYMBOLIC_LINK, content: Buffer.from(entry.target) });
    case "device":
      return encodeRecord({ ...none, mode: CHARACTER_DEVICE, major: entry.major, minor: entry.minor });
  }
}

interface CpioRecord {
  path: string;
  inode: number;
  mode: number;
  content: Buffer;
  major: number;
  minor: number;
}

function encodeRecord(record: CpioRecord): Buffer[] {
  const name = Buffer.from(`${record.path}\0`);
  const fields = [
    record.inode,
    record.mode,
    0, // uid
    0, // gid
    1, // links
    0, // modification time
    record.content.length,
    0, // device of the file
    0,
    record.major,
    record.minor,
    name.length,
    0, // checksum, unused in this format
  ];
  const header = Buffer.from(`070701${fields.map((value) => value.toString(16).padStart(8, "0")).join("")}`);
  return [header, name, padding(header.length + name.length), record.content, padding(record.content.length)];
}

/** Headers and contents begin at multiples of four bytes. */
function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}
