/**
 * How many connections a server holds, in all and for each client, from the first packet
 * on: one who never finishes its handshake counts like anybody else.
 */
import type { Server, Socket } from "node:net";

export interface ConnectionLimits {
  readonly maximumConnections: number;
  readonly maximumConnectionsPerClient: number;
}

export interface Connections {
  /** Ends them all, those in the midst of a handshake too. */
  destroyAll(): void;
}

/** `onRefused`: a connection was closed as soon as it came. */
export function limitConnections(server: Server, limits: ConnectionLimits, onRefused: () => void): Connections {
  const sockets = new Set<Socket>();
  const counts = new Map<string, number>();
  server.maxConnections = limits.maximumConnections;
  server.on("drop", onRefused);
  server.on("connection", (socket: Socket) => {
    const client = socket.remoteAddress ?? "";
    const count = counts.get(client) ?? 0;
    if (count >= limits.maximumConnectionsPerClient) {
      socket.destroy();
      onRefused();
      return;
    }
    counts.set(client, count + 1);
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      const left = (counts.get(client) ?? 1) - 1;
      if (left === 0) counts.delete(client);
      else counts.set(client, left);
    });
  });
  return {
    destroyAll() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
