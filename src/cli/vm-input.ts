/** The forms in which people write parts of a VM's spec, on the command line and in VM files. */
import { isIPv4 } from "node:net";
import { formatSize, parseSize } from "#model/quantity.ts";
import type { PublishedPort, VmDisk } from "#model/vm.ts";

/** `[[ADDRESS:]HOST:]GUEST[/udp]`: `8080:80`, `0:80` or `80` (the node chooses), `0.0.0.0:53:53/udp`. */
export function parsePublishedPort(text: string): PublishedPort | undefined {
  const match = /^(?:(?:([\d.]+):)?(\d{1,5}):)?(\d{1,5})(?:\/(tcp|udp))?$/.exec(text);
  if (match === null) return undefined;
  const [, hostAddress = "127.0.0.1", hostPort = "0", guestPort = "0", protocol] = match;
  const port = {
    hostAddress,
    hostPort: Number(hostPort),
    guestPort: Number(guestPort),
    protocol: protocol === "udp" ? "udp" : "tcp",
  } as const;
  return isIPv4(hostAddress) && port.hostPort <= 65_535 && port.guestPort >= 1 && port.guestPort <= 65_535
    ? port
    : undefined;
}

export function formatPublishedPort({ hostAddress, hostPort, guestPort, protocol }: PublishedPort): string {
  return `${hostAddress}:${hostPort}:${guestPort}${protocol === "udp" ? "/udp" : ""}`;
}

/** `name=data,size=1GiB` and perhaps `,persistent`. */
export function parseDisk(text: string): VmDisk | undefined {
  const parts = text.split(",");
  const values = new Map(
    parts.map((part) => [
      part.split("=", 1)[0] ?? "",
      part.includes("=") ? part.slice(part.indexOf("=") + 1) : undefined,
    ]),
  );
  const name = values.get("name");
  const sizeBytes = parseSize(values.get("size") ?? "");
  const known =
    parts.every((part) => /^(name=|size=|(persistent|ephemeral)$)/.test(part)) && values.size === parts.length;
  if (name === undefined || name === "" || sizeBytes === undefined || !known) return undefined;
  if (values.has("persistent") && values.has("ephemeral")) return undefined;
  return { name, sizeBytes, kind: values.has("persistent") ? "persistent" : "ephemeral" };
}

export function formatDisk({ name, sizeBytes, kind }: VmDisk): string {
  return `name=${name},size=${formatSize(sizeBytes)}${kind === "persistent" ? ",persistent" : ""}`;
}
