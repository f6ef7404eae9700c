/** A proxy between unix sockets that breaks connections the way networks do, when the test says so. */
import { once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";

export interface UnixProxy extends AsyncDisposable {
  readonly path: string;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Ends every connection now. */
  cut(): void;
  /** Every connection, also of those to come, ends after this many bytes of answers; undefined: none does. */
  cutAfterBytes(bytes: number | undefined): void;
  /** While muted, requests get through and answers are swallowed. */
  mute(muted: boolean): void;
  /** While closed, new connections are refused. */
  refuse(refused: boolean): void;
}

export async function startUnixProxy(path: string, upstreamPath: string): Promise<UnixProxy> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  let limitBytes: number | undefined;
  let muted = false;
  let refused = false;

  const server = createServer((downstream) => {
    accepted++;
    const upstream = createConnection(upstreamPath);
    const end = (): void => {
      downstream.destroy();
      upstream.destroy();
    };
    for (const socket of [downstream, upstream]) {
      sockets.add(socket);
      socket.on("error", end);
      socket.on("close", () => {
        sockets.delete(socket);
        end();
      });
    }
    if (refused) return end();
    downstream.on("data", (chunk) => upstream.write(chunk));
    let passedBytes = 0;
    upstream.on("data", (chunk: Buffer) => {
      if (muted) return;
      const left = (limitBytes ?? Number.POSITIVE_INFINITY) - passedBytes;
      passedBytes += chunk.length;
      if (chunk.length <= left) downstream.write(chunk);
      // The last bytes get through before the end: a frame is cut in its middle.
      else downstream.end(chunk.subarray(0, Math.max(0, left)), end);
    });
  });
  server.listen(path);
  await once(server, "listening");

  return {
    path,
    get accepted() {
      return accepted;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    cutAfterBytes(bytes) {
      limitBytes = bytes;
    },
    mute(value) {
      muted = value;
    },
    refuse(value) {
      refused = value;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
