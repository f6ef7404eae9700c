/**
 * VM files: what `vm create` takes as options, written down in TOML. Read with the
 * machinery of the configuration: every problem at once, with line and column.
 */
import { dirname, resolve } from "node:path";
import { list, map } from "#config/collection-kinds.ts";
import { readTomlFile } from "#config/config.ts";
import { ConfigError, type Problem } from "#config/problem.ts";
import { nestValues, readDocument } from "#config/read-section.ts";
import { type ObjectOf, optional, required, section, withDefault } from "#config/schema-types.ts";
import { tableList } from "#config/table-list-kind.ts";
import { parseTomlDocument } from "#config/toml-document.ts";
import { boolean, choice, customText, duration, integer, size, text } from "#config/value-kinds.ts";
import { vmSpecLimits } from "#model/vm-spec.ts";
import { formatPublishedPort, parsePublishedPort } from "./vm-input.ts";

const { vcpus, memoryBytes, bootTimeoutMs, stopTimeoutMs, diskSizeBytes } = vmSpecLimits;
const milliseconds = (limits: { readonly minimum: number; readonly maximum: number }) =>
  duration({ minimumMs: limits.minimum, maximumMs: limits.maximum });

const publishedPort = customText({
  type: "port",
  expectation: 'expected [[address:]host port:]guest port[/udp], such as "8080:80"',
  parse: parsePublishedPort,
  show: formatPublishedPort,
});

/** The keys of a VM file; docs/reference/cli.md lists them. */
export const vmFileSchema = {
  name: optional(text(), "The VM's name. An argument of `vm create` wins."),
  image: optional(text(), "Name of an imported image."),
  vcpus: optional(integer(vcpus), `Virtual CPUs; default: ${vcpus.default}.`),
  memory: optional(
    size({ minimumBytes: memoryBytes.minimum, maximumBytes: memoryBytes.maximum }),
    "Memory, in whole MiB; default: 256MiB.",
  ),
  command_line: optional(
    text({ maximumLength: vmSpecLimits.commandLineLength, allowEmpty: true }),
    "Appended to the image's kernel command line.",
  ),
  restart: optional(
    choice("never", "on-failure", "always"),
    "When a guest that ended is started again; default: on-failure.",
  ),
  on_node_loss: optional(
    choice("restart", "hold"),
    "When its node is lost; default: restart, with a persistent disk hold.",
  ),
  accept_disk_loss: optional(boolean, 'With on_node_loss = "restart" and persistent disks: their content may be lost.'),
  boot_timeout: optional(milliseconds(bootTimeoutMs), "How long a guest may take to be ready; default: 2m."),
  stop_timeout: optional(milliseconds(stopTimeoutMs), "How long a graceful stop may take; default: 15s."),
  guest_agent: optional(boolean, "Whether the image runs Blixard's guest agent; default: as the image says."),
  stopped: optional(boolean, "Create it without starting it."),
  labels: optional(
    map(text({ maximumLength: 253, allowEmpty: true }), {
      keyPattern: /^.{1,63}$/,
      keyExpectation: "expected a label's key of 1 to 63 characters",
    }),
    "Labels.",
  ),
  network: section("How the guest is connected.", {
    kind: optional(
      choice("none", "user", "bridge"),
      "`user`: published ports and, when asked for, egress. Default: none, with ports user.",
    ),
    publish: optional(
      list(publishedPort, 64),
      'Ports of the host that lead to ports of the guest, e.g. `["8080:80"]`.',
    ),
    egress: optional(boolean, "Whether the guest reaches the outside."),
    bridge: optional(text(), "Name of the host's bridge."),
    mac_address: optional(text(), "On the bridge; default: derived from the VM's id."),
  }),
  disks: optional(
    tableList(
      {
        name: required(text(), "The disk's name, its serial number in the guest."),
        size: required(size({ minimumBytes: diskSizeBytes.minimum, maximumBytes: diskSizeBytes.maximum }), "Its size."),
        persistent: withDefault(boolean, false, "Keep it over restarts, on its node."),
      },
      { noun: "disk", maximumItems: vmSpecLimits.disks },
    ),
    "Disks beside the image's own.",
  ),
} as const;

export type VmFile = ObjectOf<typeof vmFileSchema>;

export interface LoadedVmFile {
  readonly vm: VmFile;
  readonly warnings: readonly string[];
}

/** @throws BlixardError CONFIG_UNREADABLE, ConfigError */
export async function loadVmFile(
  path: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<LoadedVmFile> {
  return parseVmFile(path, await readTomlFile(path), environment);
}

/** @throws ConfigError */
export function parseVmFile(
  path: string,
  source: string,
  environment: Readonly<Record<string, string | undefined>>,
): LoadedVmFile {
  const problems: Problem[] = [];
  const warnings: string[] = [];
  const options = {
    file: path,
    baseDirectory: dirname(resolve(path)),
    environment,
    subject: "a VM file",
    problems,
    warnings,
  };
  const values = readDocument(parseTomlDocument(path, source), vmFileSchema, options);
  if (problems.length > 0) throw new ConfigError(path, problems);
  // The schema that gives the type also gives the properties.
  return { vm: nestValues(vmFileSchema, (key) => values.get(key)?.value) as VmFile, warnings };
}
