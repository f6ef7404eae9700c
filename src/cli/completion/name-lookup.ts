/** Names for completion, from the node that the words so far mean; none when it does not answer at once. */
import { ImageService } from "#gen/api/blixard/v1/image_pb.ts";
import { NodeService } from "#gen/api/blixard/v1/node_pb.ts";
import { VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { findNode } from "../client/find-node.ts";
import { NodeConnection } from "../client/node-connection.ts";
import type { CliIo } from "../io.ts";
import { CommandTrace } from "../trace/command-trace.ts";
import type { NameLookup } from "./complete.ts";

const TIMEOUT_MS = 1_000;

export function createNameLookup(io: CliIo): NameLookup {
  return async (kind, words) => {
    const target = {
      endpoint: valueOf(words, "--endpoint"),
      dataDir: valueOf(words, "--data-dir"),
      tokenFile: valueOf(words, "--token-file"),
    };
    await using node = new NodeConnection(() => findNode(target, io), new CommandTrace("completion", io, false));
    try {
      return await listNames(node, kind);
    } catch {
      return [];
    }
  };
}

async function listNames(node: NodeConnection, kind: "vm" | "image" | "node"): Promise<readonly string[]> {
  const call = { timeoutMs: TIMEOUT_MS };
  switch (kind) {
    case "vm":
      return (await (await node.client(VmService)).listVms({}, call)).vms.map(({ name }) => name);
    case "image":
      return (await (await node.client(ImageService)).listImages({}, call)).images.map(({ name }) => name);
    case "node":
      return (await (await node.client(NodeService)).listNodes({}, call)).nodes.map(({ id }) => id);
  }
}

function valueOf(words: readonly string[], option: string): string | undefined {
  const index = words.findLastIndex((word) => word === option || word.startsWith(`${option}=`));
  const word = words[index];
  if (word === undefined) return undefined;
  return word === option ? words[index + 1] : word.slice(option.length + 1);
}
