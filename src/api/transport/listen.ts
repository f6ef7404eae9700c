/** Opens the two listeners; a place that is taken is a clear error, a dead daemon's socket is replaced. */
import { randomUUID } from "node:crypto";
import { chmod, lstat, mkdir, rename, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { BlixardError } from "#model/errors.ts";

export interface Listener {
  /** Takes no more connections; those that are open live on. */
  close(): Promise<void>;
}

export interface TcpListener extends Listener {
  /** With the port that was chosen for port 0. */
  readonly port: number;
}

const BACKLOG = 256;
/** Linux keeps socket paths in 108 bytes, the last of them zero. */
const MAXIMUM_SOCKET_PATH_BYTES = 107;

/**
 * Listens on a path that only the owner can open.
 * @throws BlixardError PORT_TAKEN when a live process listens there, DATA_DIRECTORY_UNUSABLE
 */
export async function listenOnSocket(path: string, onConnection: (socket: Socket) => void): Promise<Listener> {
  if (Buffer.byteLength(path) > MAXIMUM_SOCKET_PATH_BYTES) {
    throw new BlixardError("DATA_DIRECTORY_UNUSABLE", `the socket path ${path} is too long`, {
      hint: `Choose a run directory that keeps it within ${MAXIMUM_SOCKET_PATH_BYTES} bytes.`,
    });
  }
  if (await isAlive(path)) {
    throw new BlixardError("PORT_TAKEN", `another process listens on ${path}`, {
      hint: "Stop the other node, or give this one another data directory.",
    });
  }
  // Bound under another name first: the path appears with its permissions, in place of a dead one.
  const temporary = join(dirname(path), `.${randomUUID().slice(0, 8)}`);
  const server = createServer({ noDelay: true }, onConnection);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await listening(server, () => server.listen({ path: temporary, backlog: BACKLOG }));
    await chmod(temporary, 0o600);
    await rename(temporary, path);
  } catch (error) {
    server.close();
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new BlixardError("DATA_DIRECTORY_UNUSABLE", `cannot listen on ${path}`, {
      cause: error,
      hint: "Check the run directory's owner and permissions.",
    });
  }
  const { ino } = await lstat(path);
  return {
    async close() {
      if (await isSameFile(path, ino)) await rm(path, { force: true });
      await closed(server);
    },
  };
}

/** @throws BlixardError PORT_TAKEN, CONFIG_INVALID */
export async function listenOnTcp(
  address: { readonly host: string; readonly port: number },
  onConnection: (socket: Socket) => void,
): Promise<TcpListener> {
  const server = createServer({ noDelay: true }, onConnection);
  try {
    await listening(server, () => server.listen({ host: address.host, port: address.port, backlog: BACKLOG }));
  } catch (error) {
    throw describeListenError(error, address);
  }
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : address.port,
    close: () => closed(server),
  };
}

function describeListenError(error: unknown, { host, port }: { host: string; port: number }): BlixardError {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") {
    return new BlixardError("PORT_TAKEN", `another process listens on ${host}:${port}`, {
      cause: error,
      hint: `See which: \`ss -ltnp 'sport = :${port}'\`. Stop it, or set another port in [node] bind (0 takes a free one).`,
    });
  }
  return new BlixardError("CONFIG_INVALID", `cannot listen on ${host}:${port}`, {
    cause: error,
    hint: "Set [node] bind to an address of this machine and a port above 1023.",
  });
}

/** Whether somebody answers on a socket; nobody does on what a dead daemon left behind. */
async function isAlive(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ path });
    const settle = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.once("connect", () => settle(true));
    // A full backlog (EAGAIN) is a busy daemon, not a dead one.
    socket.once("error", (error: NodeJS.ErrnoException) => settle(error.code === "EAGAIN"));
  });
}

async function isSameFile(path: string, inode: number): Promise<boolean> {
  try {
    return (await lstat(path)).ino === inode;
  } catch {
    return false;
  }
}

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      // Running out of file descriptors must not end the daemon; the next connection is tried again.
      server.on("error", () => undefined);
      resolve();
    });
    listen();
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()));
}
