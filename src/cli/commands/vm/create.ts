/** `blixard vm create` */
import { create } from "@bufbuild/protobuf";
import { CreateVmRequestSchema, CreateVmResponseSchema } from "#gen/api/blixard/v1/vm_pb.ts";
import { anyText, choiceOption, defineCommand, flag, option, repeated, usageError } from "../../command.ts";
import { durationMs, keyValue, sizeBytes, wholeNumber } from "../../values.ts";
import { parseDisk, parsePublishedPort } from "../../vm-input.ts";
import { buildVmSpec } from "./build-vm-spec.ts";
import { operationOptions, runVmOperation } from "./vm-operation.ts";

const createOptions = {
  file: option("FILE", "A VM file (TOML); options given here win over it.", anyText, { short: "f", complete: "file" }),
  image: option("IMAGE", "Name of an imported image.", anyText, { complete: "image" }),
  vcpus: option("N", "Virtual CPUs; default: 1.", wholeNumber),
  memory: option("SIZE", "Memory, e.g. 512MiB; default: 256MiB.", sizeBytes),
  cmdline: option("TEXT", "Appended to the image's kernel command line.", anyText),
  network: option(
    "KIND",
    "How the guest is connected: none, user or bridge=NAME; default: none, with ports or egress user.",
    networkOf,
    {
      values: ["none", "user", "bridge="],
    },
  ),
  publish: repeated(
    "HOST:GUEST",
    "Lead a port of the host to one of the guest: [[ADDRESS:]HOST:]GUEST[/udp]; host port 0: the node chooses.",
    portOf,
    { short: "p" },
  ),
  egress: flag("Let the guest reach the outside; the host's loopback stays closed."),
  macAddress: option("MAC", "On a bridge; default: derived from the VM's id.", anyText),
  disk: repeated("SPEC", "A disk beside the image's own: name=NAME,size=SIZE[,persistent].", diskOf),
  label: repeated("KEY=VALUE", "A label.", keyValue, { short: "l" }),
  restart: choiceOption(
    ["never", "on-failure", "always"],
    "When a guest that ended is started again; default: on-failure.",
    { placeholder: "POLICY" },
  ),
  onNodeLoss: choiceOption(
    ["restart", "hold"],
    "When its node is lost; default: restart, with a persistent disk hold.",
  ),
  acceptDiskLoss: flag("With --on-node-loss restart: the content of persistent disks may be lost."),
  bootTimeout: option("DURATION", "How long the guest may take to be ready; default: 2m.", durationMs),
  stopTimeout: option("DURATION", "How long a graceful stop may take; default: 15s.", durationMs),
  guestAgent: choiceOption(["yes", "no"], "Whether the image runs Blixard's guest agent; default: as the image says."),
  stopped: flag("Create it without starting it."),
};

export const vmCreate = defineCommand({
  description:
    "The node stores the wish and answers; --wait follows it until the guest is ready. `vm trace NAME` then shows where the time went.",
  arguments: {
    name: {
      description: "The VM's name: lower-case letters, digits and '-'. May also stand in the file.",
      optional: true,
    },
  },
  options: { ...createOptions, ...operationOptions },
  examples: [
    {
      command: "blixard vm create web --image demo --publish 8080:80 --wait",
      explanation: "A microVM that answers on port 8080",
    },
    {
      command: "blixard vm create db --image debian --vcpus 2 --memory 1GiB --disk name=data,size=10GiB,persistent",
      explanation: "One with a disk that stays",
    },
    { command: "blixard vm create -f vm.toml --label tier=web", explanation: "From a file, with one more label" },
  ],
  run: async (context, { name }, options) => {
    const { io, trace, signal } = context;
    const file = await loadFile(options.file, context);
    const chosenName = name ?? file?.name;
    if (chosenName === undefined)
      usageError("the VM needs a name", "Write `blixard vm create NAME …`, or `name = …` in the file.");
    const operationId = options.operationId ?? io.randomHex(16);
    trace.setAttribute("blixard.vm.name", chosenName);
    trace.setAttribute("blixard.operation.id", operationId);
    const stopped = options.stopped || file?.stopped === true;
    const request = create(CreateVmRequestSchema, {
      name: chosenName,
      operationId,
      stopped,
      spec: buildVmSpec(options, file),
    });
    await runVmOperation(context, {
      goal: stopped ? "stopped" : "running",
      schema: CreateVmResponseSchema,
      wait: options.wait,
      timeoutMs: options.timeout,
      call: (vms) => vms.createVm(request, { signal }),
    });
  },
});

async function loadFile(path: string | undefined, { io }: Parameters<typeof vmCreate.run>[0]) {
  if (path === undefined) return undefined;
  const { loadVmFile } = await import("../../vm-file.ts");
  const { vm, warnings } = await loadVmFile(path, io.environment);
  for (const warning of warnings) await io.stderr.write(`warning: ${warning}\n`);
  return vm;
}

export type CreateOptions = {
  readonly [Name in keyof typeof createOptions]: ReturnType<(typeof createOptions)[Name]["parse"]>;
};

export type NetworkChoice =
  | { readonly kind: "none" }
  | { readonly kind: "user" }
  | { readonly kind: "bridge"; readonly bridge: string };

function networkOf(text: string): NetworkChoice {
  if (text === "none" || text === "user") return { kind: text };
  const bridge = /^bridge=(.+)$/.exec(text)?.[1];
  return bridge === undefined
    ? usageError(`"${text}" is no network`, "Networks: none, user, bridge=NAME.")
    : { kind: "bridge", bridge };
}

function portOf(text: string) {
  return (
    parsePublishedPort(text) ??
    usageError(`"${text}" publishes no port`, "Write [[ADDRESS:]HOST:]GUEST[/udp], such as 8080:80.")
  );
}

function diskOf(text: string) {
  return parseDisk(text) ?? usageError(`"${text}" is no disk`, "Write name=NAME,size=SIZE, perhaps with ,persistent.");
}
