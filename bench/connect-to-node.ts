/** Options of a gRPC transport to a test node, over TCP with its token. */
import { readFile } from "node:fs/promises";
import type { Interceptor } from "@connectrpc/connect";
import type { TestNode } from "#test/support/test-node.ts";

export async function connectToNode(node: TestNode): Promise<{ baseUrl: string; interceptors: Interceptor[] }> {
  const endpoints = await node.endpoints();
  const token = endpoints.tokenFile === undefined ? "" : (await readFile(endpoints.tokenFile, "utf8")).trim();
  const authenticate: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  return { baseUrl: `http://${endpoints.api.tcp}`, interceptors: [authenticate] };
}
