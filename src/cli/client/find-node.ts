/**
 * Where the node is: `--endpoint`, else by its data directory (`--data-dir`,
 * BLIXARD_DATA_DIR, the default) → run directory → `endpoints.json`.
 */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { currentUserId, defaultDataDirectory, ENDPOINTS_FILE, runDirectoryCandidates } from "#config/paths.ts";
import { BlixardError } from "#model/errors.ts";
import { Secret } from "#model/secret.ts";
import { usageError } from "../command.ts";

export type NodeAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly url: string; readonly token: Secret | undefined };

/** What the command line says about the node. */
export interface NodeTarget {
  /** `unix:PATH` or `http://host:port`. */
  readonly endpoint: string | undefined;
  readonly dataDir: string | undefined;
  /** File with the token for calls by TCP. */
  readonly tokenFile: string | undefined;
}

export interface FindNodeHost {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  readonly userId?: number;
}

/** @throws BlixardError USAGE, NODE_UNREACHABLE */
export async function findNode(target: NodeTarget, host: FindNodeHost): Promise<NodeAddress> {
  const endpoint = target.endpoint ?? nonEmpty(host.environment["BLIXARD_ENDPOINT"]);
  if (endpoint !== undefined) return parseEndpoint(endpoint, await readToken(target, host));
  return findByDataDirectory(target, host);
}

async function parseEndpoint(endpoint: string, token: Secret | undefined): Promise<NodeAddress> {
  const unixPath = /^unix:(?:\/\/)?(.+)$/.exec(endpoint)?.[1];
  if (unixPath !== undefined) return { kind: "unix", path: resolve(unixPath) };
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (
    url !== undefined &&
    url.protocol === "http:" &&
    url.username === "" &&
    url.pathname === "/" &&
    url.search === ""
  ) {
    return { kind: "tcp", url: url.origin, token };
  }
  return usageError(
    "--endpoint is neither unix:PATH nor http://HOST:PORT",
    "For example: --endpoint http://127.0.0.1:7001",
  );
}

async function readToken(target: NodeTarget, host: FindNodeHost): Promise<Secret | undefined> {
  const file = target.tokenFile ?? nonEmpty(host.environment["BLIXARD_TOKEN_FILE"]);
  if (file === undefined) return undefined;
  try {
    return new Secret((await readFile(file, "utf8")).trim());
  } catch (error) {
    return usageError(
      `the token file ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

async function findByDataDirectory(target: NodeTarget, host: FindNodeHost): Promise<NodeAddress> {
  const userId = host.userId ?? currentUserId();
  const { environment, workingDirectory } = host;
  const given =
    target.dataDir ?? nonEmpty(environment["BLIXARD_DATA_DIR"]) ?? nonEmpty(environment["BLIXARD_NODE__DATA_DIR"]);
  const dataDirectory =
    given === undefined
      ? defaultDataDirectory({ isRoot: userId === 0, workingDirectory })
      : resolve(workingDirectory, given);
  for (const runDirectory of runDirectoryCandidates(dataDirectory, environment, userId)) {
    const file = join(runDirectory, ENDPOINTS_FILE);
    const socket = await readSocketPath(file);
    if (socket !== undefined) return { kind: "unix", path: socket };
  }
  throw new BlixardError("NODE_UNREACHABLE", `no node is running with the data directory ${dataDirectory}`, {
    hint: `Start one with \`blixard node run --data-dir ${dataDirectory}\`, or say where it is with --data-dir or --endpoint.`,
  });
}

/** The node's socket; undefined when there is no such file. */
async function readSocketPath(file: string): Promise<string | undefined> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR"))
      return undefined;
    const denied = error instanceof Error && "code" in error && error.code === "EACCES";
    throw new BlixardError("NODE_UNREACHABLE", `${file} cannot be read`, {
      cause: error,
      hint: denied
        ? "The node belongs to another user: run this as that user, or with sudo."
        : "Start the node again: it writes this file anew.",
    });
  }
  const api: unknown = typeof content === "object" && content !== null && "api" in content ? content.api : undefined;
  const socket: unknown = typeof api === "object" && api !== null && "unix" in api ? api.unix : undefined;
  if (typeof socket === "string" && socket !== "") return socket.replace(/^unix:/, "");
  throw new BlixardError("NODE_UNREACHABLE", `${file} does not say where the node listens`, {
    hint: "Start the node again: it writes this file anew.",
  });
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
