/** The guardian's socket: requests to its parts, events to its clients, streams between guests and daemons. */
import { chmod } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { BlixardError, toBlixardError } from "#model/errors.ts";
import type { ProcessIdentity } from "#process/identity.ts";
import { createLineSplitter } from "#process/line-splitter.ts";
import type { Fence } from "./fence.ts";
import type { Guests } from "./guests.ts";
import {
  encodeLine,
  type GuardianRequest,
  type GuestReport,
  type HelloReply,
  MAXIMUM_LINE_BYTES,
  parseRequest,
  parseRequestId,
  PROTOCOL_VERSION,
  type SerialOpened,
} from "./protocol.ts";
import type { SerialHubs } from "./serial-hubs.ts";

export interface GuardianServer {
  readonly clientCount: number;
  broadcastExit(guest: GuestReport): void;
  close(): Promise<void>;
}

export interface GuardianServerOptions {
  readonly socketPath: string;
  readonly identity: ProcessIdentity;
  readonly guests: Guests;
  readonly hubs: SerialHubs;
  readonly fence: Fence;
  readonly onClientsChanged: () => void;
  readonly onShutdown: (force: boolean) => void;
  readonly onFence: (deadlineUptimeSeconds: number | null) => void;
}

const MAXIMUM_CLIENTS = 4_096;
// A client that does not read its replies is cut off.
const MAXIMUM_QUEUE_BYTES = 16 * 1024 * 1024;
const CLOSE_WAIT_MS = 1_000;
const MAXIMUM_REQUESTS_IN_FLIGHT = 256;

interface Client {
  readonly socket: Socket;
  /** Speaks lines and hears of exits; streams do not. */
  isGreeted: boolean;
  requestsInFlight: number;
}

/** What a request makes of its connection: it replies first, in the same turn. */
class BecomesStream {
  readonly begin: (socket: Socket, reply: (result: unknown) => void) => void;
  constructor(begin: BecomesStream["begin"]) {
    this.begin = begin;
  }
}

/** Listens on a socket that only its owner may use. */
export async function startGuardianServer(options: GuardianServerOptions): Promise<GuardianServer> {
  const clients = new Set<Client>();
  const server = createServer((socket) => {
    const client: Client = { socket, isGreeted: false, requestsInFlight: 0 };
    clients.add(client);
    options.onClientsChanged();
    socket.on("error", () => {});
    socket.once("close", () => {
      clients.delete(client);
      options.onClientsChanged();
    });
    serveClient(client, options);
  });
  server.maxConnections = MAXIMUM_CLIENTS;
  await listen(server, options.socketPath);
  await chmod(options.socketPath, 0o600);
  return {
    get clientCount() {
      return clients.size;
    },
    broadcastExit(guest) {
      for (const client of clients) if (client.isGreeted) send(client.socket, { event: "exited", guest });
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const client of clients) client.socket.destroySoon();
      // Those who do not read what is still to come.
      const timer = setTimeout(() => {
        for (const client of clients) client.socket.destroy();
      }, CLOSE_WAIT_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

function listen(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(socketPath, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function send(socket: Socket, message: unknown): void {
  if (socket.writableLength > MAXIMUM_QUEUE_BYTES) socket.destroy();
  else socket.write(encodeLine(message));
}

function serveClient(client: Client, options: GuardianServerOptions): void {
  const { socket } = client;
  const splitter = createLineSplitter({
    maximumBytes: MAXIMUM_LINE_BYTES,
    onLine: (line) => void answer(line),
    onTooLong: () => send(socket, { id: 0, error: { code: "REQUEST_TOO_LARGE", message: "the line is too long" } }),
  });
  const onData = (chunk: Buffer): void => splitter.push(chunk);
  socket.on("data", onData);

  async function answer(line: string): Promise<void> {
    client.requestsInFlight++;
    try {
      if (client.requestsInFlight > MAXIMUM_REQUESTS_IN_FLIGHT) {
        throw new BlixardError("TOO_MANY_REQUESTS", "too many requests wait for their replies");
      }
      const { id, request } = parseRequest(line);
      const performed = await perform(request, options);
      if (request.op === "hello") client.isGreeted = true;
      const reply = (result: unknown): void => send(socket, { id, result });
      if (performed instanceof BecomesStream) {
        client.isGreeted = false;
        socket.off("data", onData);
        performed.begin(socket, reply);
      } else {
        reply(performed);
      }
    } catch (error) {
      const { code, message, hint } = toBlixardError(error);
      send(socket, { id: parseRequestId(line), error: { code, message, hint } });
    } finally {
      client.requestsInFlight--;
    }
  }
}

async function perform(request: GuardianRequest, options: GuardianServerOptions): Promise<unknown> {
  const { guests, fence } = options;
  switch (request.op) {
    case "hello": {
      const { identity } = options;
      const reply: HelloReply = { protocol: PROTOCOL_VERSION, identity, guestCount: guests.runningCount };
      return reply;
    }
    case "list":
      return guests.list();
    case "spawn":
      if (request.guest.fenced && fence.isPast) {
        throw new BlixardError("GUARDIAN_UNAVAILABLE", "this node's right to run guests has expired");
      }
      return guests.spawn(request.guest);
    case "kill":
      guests.end(request.instanceId, request.reason, request.graceMs);
      return null;
    case "acknowledge":
      await guests.acknowledge(request.instanceId);
      return null;
    case "fence":
      if (request.deadlineUptimeSeconds === null) fence.disarm();
      else fence.arm(request.deadlineUptimeSeconds);
      options.onFence(request.deadlineUptimeSeconds);
      return null;
    case "open-channel":
      return openChannel(request, guests);
    case "open-serial":
      return openSerial(request, options.hubs);
    case "shutdown":
      if (!request.force && guests.runningCount > 0) {
        throw new BlixardError("VM_STATE_CONFLICT", `${guests.runningCount} guests run under this guardian`);
      }
      // After the reply has gone out.
      setImmediate(() => options.onShutdown(request.force));
      return null;
  }
}

function openChannel(request: { instanceId: string; channel: string }, guests: Guests): BecomesStream {
  const channel = guests.channel(request.instanceId, request.channel);
  if (channel === undefined) {
    throw new BlixardError("GUEST_CHANNEL_UNAVAILABLE", `the guest has no ${request.channel} or has ended`);
  }
  return new BecomesStream((socket, reply) => {
    reply(null);
    channel.attach(socket);
  });
}

async function openSerial(
  request: { vmId: string; logDir: string; instanceId: string | undefined },
  hubs: SerialHubs,
): Promise<BecomesStream> {
  const lease = await hubs.lease(request.vmId, request.logDir);
  return new BecomesStream((socket, reply) => {
    const opened: SerialOpened = { offset: lease.hub.endOffset };
    reply(opened);
    socket.once("close", () => lease.release());
    if (socket.destroyed) lease.release();
    else lease.hub.follow(socket, request.instanceId);
  });
}
