/**
 * Every command of Blixard: noun → verb → summary and module. Modules are loaded
 * only for the command that is typed. To add one, write
 * `commands/<noun>/<verb>.ts` and add a line here.
 */
import type { Command } from "./command.ts";

export interface VerbEntry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

export interface NounEntry {
  readonly summary: string;
  readonly verbs: Readonly<Record<string, VerbEntry>>;
}

export const commandTable: Readonly<Record<string, NounEntry>> = {
  vm: {
    summary: "virtual machines",
    verbs: {
      create: { summary: "Creates a VM.", load: async () => (await import("./commands/vm/create.ts")).vmCreate },
      list: { summary: "Lists VMs.", load: async () => (await import("./commands/vm/list.ts")).vmList },
      get: {
        summary: "Shows one VM, and why it is in its state.",
        load: async () => (await import("./commands/vm/get.ts")).vmGet,
      },
      watch: {
        summary: "Shows VMs, then every change.",
        load: async () => (await import("./commands/vm/watch.ts")).vmWatch,
      },
      start: { summary: "Starts a VM.", load: async () => (await import("./commands/vm/start.ts")).vmStart },
      stop: {
        summary: "Stops a VM: asks its guest, then forces it.",
        load: async () => (await import("./commands/vm/stop.ts")).vmStop,
      },
      restart: { summary: "Restarts a VM.", load: async () => (await import("./commands/vm/restart.ts")).vmRestart },
      pause: {
        summary: "Pauses a VM's virtual CPUs.",
        load: async () => (await import("./commands/vm/pause.ts")).vmPause,
      },
      resume: {
        summary: "Lets a paused VM run on.",
        load: async () => (await import("./commands/vm/resume.ts")).vmResume,
      },
      delete: {
        summary: "Deletes a VM and its disks.",
        load: async () => (await import("./commands/vm/delete.ts")).vmDelete,
      },
      logs: { summary: "Prints a VM's serial log.", load: async () => (await import("./commands/vm/logs.ts")).vmLogs },
      console: {
        summary: "Attaches to a VM's serial console.",
        load: async () => (await import("./commands/vm/console.ts")).vmConsole,
      },
      trace: {
        summary: "Shows the trace of a VM's creation or of a later operation.",
        load: async () => (await import("./commands/vm/trace.ts")).vmTrace,
      },
    },
  },
  image: {
    summary: "images that VMs boot from",
    verbs: {
      import: {
        summary: "Imports a kernel with an initrd, or a disk.",
        load: async () => (await import("./commands/image/import.ts")).imageImport,
      },
      list: { summary: "Lists images.", load: async () => (await import("./commands/image/list.ts")).imageList },
      delete: {
        summary: "Deletes an image that no VM uses.",
        load: async () => (await import("./commands/image/delete.ts")).imageDelete,
      },
    },
  },
  node: {
    summary: "machines that run VMs",
    verbs: {
      run: {
        summary: "Runs a node in the foreground.",
        load: async () => (await import("./commands/node/run.ts")).nodeRun,
      },
      list: { summary: "Lists nodes.", load: async () => (await import("./commands/node/list.ts")).nodeList },
      cordon: {
        summary: "Places no new VM on a node.",
        load: async () => (await import("./commands/node/cordon.ts")).nodeCordon,
      },
      uncordon: {
        summary: "Places VMs on a node again.",
        load: async () => (await import("./commands/node/uncordon.ts")).nodeUncordon,
      },
    },
  },
  guardian: {
    summary: "the parent of a node's guests",
    verbs: {
      run: {
        summary: "Runs a node's guardian in the foreground, as a service.",
        load: async () => (await import("./commands/guardian/run.ts")).guardianRun,
      },
    },
  },
  cluster: {
    summary: "the nodes together",
    verbs: {
      status: {
        summary: "Shows the cluster's members and who leads.",
        load: async () => (await import("./commands/cluster/status.ts")).clusterStatus,
      },
    },
  },
  telemetry: {
    summary: "metrics, traces and logs of a node",
    verbs: {
      doctor: {
        summary: "Finds out why telemetry does not arrive, and says what to do.",
        load: async () => (await import("./commands/telemetry/doctor.ts")).telemetryDoctor,
      },
      cardinality: {
        summary: "Shows what each metric costs, and what more VMs would cost.",
        load: async () => (await import("./commands/telemetry/cardinality.ts")).telemetryCardinality,
      },
      trace: {
        summary: "Exports every trace of one VM for a time, whatever the sampling ratio.",
        load: async () => (await import("./commands/telemetry/trace.ts")).telemetryTrace,
      },
      "log-level": {
        summary: "Shows or changes what a node logs, while it runs.",
        load: async () => (await import("./commands/telemetry/log-level.ts")).telemetryLogLevel,
      },
    },
  },
  config: {
    summary: "a node's configuration",
    verbs: {
      check: {
        summary: "Checks a configuration file.",
        load: async () => (await import("./commands/config/check.ts")).configCheck,
      },
      show: {
        summary: "Shows the effective configuration and where each value comes from.",
        load: async () => (await import("./commands/config/show.ts")).configShow,
      },
    },
  },
};

/** Commands without a verb. */
export const plainCommands: Readonly<Record<string, VerbEntry>> = {
  completion: {
    summary: "Prints a completion script for a shell.",
    load: async () => (await import("./commands/completion.ts")).completion,
  },
};
