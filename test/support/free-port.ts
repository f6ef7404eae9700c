/** For what has to be told its port before it starts, and for what comes back at the same one. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

/** A port of the loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  await using server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
