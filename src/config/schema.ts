/**
 * The schema: every key of the configuration, in one table.
 *
 * To add a key, add it here; validation, its environment variable
 * (`BLIXARD_<SECTION>__<KEY>`), `config show`, docs/reference/configuration.md and
 * the type `Config` follow. A rule between keys goes to `rules.ts`, an `OTEL_*`
 * variable to `otel-variables.ts`.
 */
import type { Destinations } from "./destinations.ts";
import { list } from "./collection-kinds.ts";
import { observabilityKeys } from "./observability-keys.ts";
import { defaultDataDirectory } from "./paths.ts";
import {
  isSection,
  optional,
  section,
  withComputedDefault,
  withDefault,
  type Key,
  type ObjectOf,
  type SectionKeys,
} from "./schema-types.ts";
import { address, boolean, choice, decimal, duration, endpoint, integer, path, size, text } from "./value-kinds.ts";

const MEBIBYTE = 1024 ** 2;

const nodeId = text({
  pattern: /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
  expectation: "1 to 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
});
const name = text({
  pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  expectation: "1 to 63 lower-case letters, digits and '-'",
});
const hostName = text({
  pattern: /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/,
  expectation: "a host name",
});
const userName = text({ pattern: /^[a-z_][a-z0-9_-]{0,31}$/, expectation: "the name of a user" });

export const configSchema = {
  cluster: section("The cluster this node makes or belongs to.", {
    name: withDefault(name, "blixard", "The cluster's name; `service.namespace` on every signal."),
  }),
  node: section("This machine.", {
    id: withComputedDefault(
      nodeId,
      "the host name",
      ({ host }) => nodeIdOf(host.hostName),
      "The node's name, unique in the cluster. Keep it for as long as the data directory.",
    ),
    data_dir: withComputedDefault(
      path,
      "`/var/lib/blixard` as root, else `./.blixard`",
      ({ host }) => defaultDataDirectory(host),
      "Everything the node keeps: disks, images, the store.",
    ),
    run_dir: optional(
      path,
      "Sockets and `endpoints.json`. Default: by the data directory, below `/run/blixard` or `$XDG_RUNTIME_DIR/blixard`.",
    ),
    bind: withDefault(
      address,
      { host: "127.0.0.1", port: 7001 },
      "Where the API listens by TCP, beside its unix socket. Port 0: any free one.",
    ),
    allow_insecure_bind: withDefault(
      boolean,
      false,
      "Allow `bind` to be an address that other machines reach, although the API is neither encrypted nor limited to known clients there.",
    ),
    vcpu_overcommit: withDefault(
      decimal({ minimum: 1, maximum: 64 }),
      4,
      "Virtual CPUs that are placed for each CPU of the machine.",
    ),
    max_vms: withDefault(integer({ minimum: 1, maximum: 100_000 }), 1_000, "VMs that are placed here at most."),
    capacity: section("What the machine has, where it should not be asked itself.", {
      vcpus: optional(integer({ minimum: 1, maximum: 65_536 }), "CPUs. Default: the machine's."),
      memory: optional(
        size({ minimumBytes: 64 * MEBIBYTE }),
        "Memory. Default: the machine's, or the control group's limit.",
      ),
      disk: optional(
        size({ minimumBytes: 64 * MEBIBYTE }),
        "Space for disks and images. Default: the data directory's file system.",
      ),
    }),
    reserved: section("What guests never get.", {
      vcpus: withDefault(integer({ minimum: 0, maximum: 65_536 }), 0, "CPUs."),
      memory: withDefault(size({ minimumBytes: 0 }), 512 * MEBIBYTE, "Memory for the node itself and the system."),
      disk: withDefault(size({ minimumBytes: 0 }), 1024 * MEBIBYTE, "Disk space that stays free."),
    }),
  }),
  runtime: section("What runs the guests.", {
    driver: withDefault(
      choice("qemu", "simulated"),
      "qemu",
      "`simulated` runs nothing and says so in every state: for tests of scale.",
    ),
    accelerator: withDefault(
      choice("auto", "kvm", "tcg"),
      "auto",
      "`auto` runs a tiny probe guest to find out whether KVM works.",
    ),
    machine: withDefault(
      choice("auto", "q35", "microvm"),
      "auto",
      "QEMU's machine type; `auto` takes microvm where the host's TSC frequency is known.",
    ),
    qemu_binary: withDefault(text(), "qemu-system-x86_64", "Name or path of QEMU."),
    guardian: withDefault(
      choice("auto", "service"),
      "auto",
      "Who starts the guardian, the parent of all guests: `auto`, the node when there is none; `service`, somebody else by `blixard guardian run`, such as its systemd unit.",
    ),
    user: optional(userName, "User that guests run as, when the node runs as root."),
  }),
  store: section("Where the cluster's state is. Without `endpoints`, an etcd of the node's own.", {
    endpoints: optional(list(endpoint, 9), 'An etcd that exists already, e.g. `["https://10.0.0.5:2379"]`.'),
    etcd_binary: withDefault(text(), "etcd", "Name or path of etcd, for the embedded store."),
    ca_file: optional(path, "PEM file of the authorities to trust at `endpoints`."),
    certificate_file: optional(path, "PEM file of the client's certificate for `endpoints`."),
    key_file: optional(path, "PEM file of that certificate's key."),
  }),
  api: section("Limits of the API.", {
    max_request_size: withDefault(
      size({ minimumBytes: 64 * 1024, maximumBytes: 64 * MEBIBYTE }),
      4 * MEBIBYTE,
      "Longest request message.",
    ),
    max_concurrent_calls: withDefault(
      integer({ minimum: 1, maximum: 100_000 }),
      1_000,
      "Calls served at once; more are refused with TOO_MANY_REQUESTS.",
    ),
    allowed_hosts: withDefault(
      list(hostName, 64),
      [],
      "Names by which callers may call the node by TCP, beside addresses and `localhost`: calls to other names are refused.",
    ),
    drain_timeout: withDefault(
      duration({ minimumMs: 0, maximumMs: 600_000 }),
      10_000,
      "How long calls may go on while the node stops.",
    ),
  }),
  observability: section("What the node tells of itself.", observabilityKeys),
} as const;

/** The keys' effective values. */
export type KeyValues = ObjectOf<typeof configSchema>;

/** The configuration, complete and valid. Frozen. */
export interface Config extends KeyValues {
  readonly destinations: Destinations;
  /** Path of the declarative configuration that the destinations are from; undefined: from the keys. */
  readonly otelFile: string | undefined;
}

export interface ConfigKey {
  /** `observability.tracing.otlp_endpoint` */
  readonly path: string;
  /** `BLIXARD_OBSERVABILITY__TRACING__OTLP_ENDPOINT` */
  readonly variable: string;
  readonly key: Key<unknown>;
}

/** All keys of a schema, in its order. */
export function flattenKeys(keys: SectionKeys, prefix = ""): readonly ConfigKey[] {
  return Object.entries(keys).flatMap(([own, item]) => {
    const itemPath = `${prefix}${own}`;
    return isSection(item)
      ? flattenKeys(item.keys, `${itemPath}.`)
      : [{ path: itemPath, variable: variableOf(itemPath), key: item }];
  });
}

/** The environment variable of a key. */
export function variableOf(keyPath: string): string {
  return `BLIXARD_${keyPath.replaceAll(".", "__").toUpperCase()}`;
}

/** A host name as a node's id. */
function nodeIdOf(hostName: string): string {
  const clean = hostName
    .replaceAll(/[^A-Za-z0-9._-]/g, "-")
    .slice(0, 63)
    .replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, "");
  return clean === "" ? "node" : clean;
}
