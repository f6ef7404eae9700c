/**
 * TypeScript from `proto/`, by buf and protoc-gen-es, offline.
 *
 * Each room has its own tree under `src/gen/`, named by the file's full proto path:
 *
 *   proto/blixard/v1/vm.proto              -> #gen/api/blixard/v1/vm_pb.ts
 *   proto/blixard/store/v1/records.proto   -> #gen/store/blixard/store/v1/records_pb.ts
 *   proto/etcd/…                           -> #gen/etcd/etcd/…_pb.ts
 *   proto/grpc/…                           -> #gen/grpc/grpc/…_pb.ts
 *   proto/opentelemetry/proto/…            -> #gen/otlp/opentelemetry/proto/…_pb.ts
 *
 * A room may import the types of another one only if `imports` below says so.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { GeneratedFiles } from "./output.ts";

interface ProtobufRoom {
  readonly name: string;
  /** Folder below the repository's root whose .proto files it takes. */
  readonly source: string;
  /** Generated imports that another room's tree holds, as `pattern:room`. */
  readonly imports: readonly string[];
}

const rooms: readonly ProtobufRoom[] = [
  { name: "api", source: "proto/blixard/v1", imports: [] },
  { name: "store", source: "proto/blixard/store/v1", imports: ["./blixard/v1/**/*_pb.js:api"] },
  { name: "etcd", source: "proto/etcd", imports: [] },
  { name: "grpc", source: "proto/grpc", imports: [] },
  { name: "otlp", source: "proto/opentelemetry", imports: [] },
];

const run = promisify(execFile);

/** The generated files by path below `root`; rooms without .proto files have none. */
export async function generateProtobuf(root: string): Promise<GeneratedFiles> {
  const files = new Map<string, string>();
  const temporary = await mkdtemp(join(tmpdir(), "blixard-protobuf-"));
  try {
    for (const room of rooms) {
      if (!(await hasProtoFiles(join(root, room.source)))) continue;
      const output = join(temporary, room.name);
      await generateRoom(root, room, output);
      for (const entry of await readdir(output, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const path = join(entry.parentPath, entry.name);
        files.set(join("src/gen", path.slice(temporary.length + 1)), await readFile(path, "utf8"));
      }
    }
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return files;
}

async function generateRoom(root: string, room: ProtobufRoom, output: string): Promise<void> {
  const template = {
    version: "v2",
    plugins: [
      {
        local: [process.execPath, fileURLToPath(import.meta.resolve("@bufbuild/protoc-gen-es/bin/protoc-gen-es"))],
        out: output,
        opt: [
          "target=ts",
          "import_extension=ts",
          "erasable_syntax=true",
          "elide_plugin_version=true",
          ...room.imports.map((rule) => `rewrite_imports=${rule.replace(":", ":../")}`),
        ],
      },
    ],
  };
  const buf = fileURLToPath(import.meta.resolve("@bufbuild/buf/bin/buf"));
  await run(process.execPath, [buf, "generate", "--template", JSON.stringify(template), "--path", room.source], {
    cwd: root,
  });
}

async function hasProtoFiles(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder, { recursive: true })).some((name) => name.endsWith(".proto"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
