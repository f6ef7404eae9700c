// Generated from telemetry/registry by scripts/generate.ts. Do not edit.

/** A command from its first line to its end; the root of what it causes. */
export const cliCommand = {
  name: "cli.command",
  kind: "client",
  brief: "A command from its first line to its end; the root of what it causes.",
  attributes: {
    "blixard.cli.command": {
      type: "string",
      requirement: "required"
    },
    "blixard.cli.exit_code": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.image.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "process.pid": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** An image's files are received, verified and kept in chunks. */
export const imageImport = {
  name: "image.import",
  kind: "internal",
  brief: "An image's files are received, verified and kept in chunks.",
  attributes: {
    "blixard.image.name": {
      type: "string",
      requirement: "required"
    },
    "blixard.image.digest": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.image.size": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.image.chunk_count": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** An image is deleted. */
export const imageDelete = {
  name: "image.delete",
  kind: "internal",
  brief: "An image is deleted.",
  attributes: {
    "blixard.image.name": {
      type: "string",
      requirement: "required"
    },
    "blixard.image.digest": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** An image's chunks are put together to whole files and verified. */
export const imageMaterialize = {
  name: "image.materialize",
  kind: "internal",
  brief: "An image's chunks are put together to whole files and verified.",
  attributes: {
    "blixard.image.digest": {
      type: "string",
      requirement: "required"
    },
    "blixard.image.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.image.size": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.image.cache_result": {
      type: "string",
      requirement: "recommended",
      values: [
        "hit",
        "miss"
      ]
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** A node starts, until it serves. */
export const nodeStart = {
  name: "node.start",
  kind: "internal",
  brief: "A node starts, until it serves.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.runtime.driver": {
      type: "string",
      requirement: "recommended",
      values: [
        "qemu",
        "simulated"
      ]
    },
    "blixard.runtime.accelerator": {
      type: "string",
      requirement: "recommended",
      values: [
        "kvm",
        "tcg",
        "none"
      ]
    },
    "blixard.runtime.accelerator_reason": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.store.kind": {
      type: "string",
      requirement: "recommended",
      values: [
        "embedded",
        "external",
        "memory"
      ]
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "process.pid": {
      type: "int",
      requirement: "recommended"
    },
    "service.version": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The guardian is found or started. */
export const nodeStartGuardian = {
  name: "node.start.guardian",
  kind: "internal",
  brief: "The guardian is found or started.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.guardian.adopted": {
      type: "boolean",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The consensus member is started or found, and answers. */
export const nodeStartStore = {
  name: "node.start.store",
  kind: "internal",
  brief: "The consensus member is started or found, and answers.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.store.kind": {
      type: "string",
      requirement: "recommended",
      values: [
        "embedded",
        "external",
        "memory"
      ]
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The host is asked what it can run, by running a tiny guest. */
export const nodeStartProbe = {
  name: "node.start.probe",
  kind: "internal",
  brief: "The host is asked what it can run, by running a tiny guest.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.runtime.driver": {
      type: "string",
      requirement: "recommended",
      values: [
        "qemu",
        "simulated"
      ]
    },
    "blixard.runtime.accelerator": {
      type: "string",
      requirement: "recommended",
      values: [
        "kvm",
        "tcg",
        "none"
      ]
    },
    "blixard.runtime.accelerator_reason": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.runtime.machine_type": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.runtime.hypervisor_version": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The listeners are opened. */
export const nodeStartListen = {
  name: "node.start.listen",
  kind: "internal",
  brief: "The listeners are opened.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "server.address": {
      type: "string",
      requirement: "recommended"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** Machines of an earlier daemon are adopted, and those that ended meanwhile are noticed. */
export const nodeStartRecover = {
  name: "node.start.recover",
  kind: "internal",
  brief: "Machines of an earlier daemon are adopted, and those that ended meanwhile are noticed.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.adopted_count": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.node.exited_count": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The node finds its guardian or starts one. */
export const guardianSpawn = {
  name: "guardian.spawn",
  kind: "internal",
  brief: "The node finds its guardian or starts one.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.guardian.adopted": {
      type: "boolean",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "process.pid": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** From the start of the hypervisor until its control socket answers. */
export const qemuSpawn = {
  name: "qemu.spawn",
  kind: "internal",
  brief: "From the start of the hypervisor until its control socket answers.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.runtime.driver": {
      type: "string",
      requirement: "recommended",
      values: [
        "qemu",
        "simulated"
      ]
    },
    "blixard.runtime.accelerator": {
      type: "string",
      requirement: "recommended",
      values: [
        "kvm",
        "tcg",
        "none"
      ]
    },
    "blixard.runtime.machine_type": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.instance_id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.vcpu_count": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.memory_size": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.runtime.hypervisor_version": {
      type: "string",
      requirement: "recommended"
    },
    "process.pid": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** From the first virtual CPU cycle until the guest is ready. */
export const guestBoot = {
  name: "guest.boot",
  kind: "internal",
  brief: "From the first virtual CPU cycle until the guest is ready.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.runtime.driver": {
      type: "string",
      requirement: "recommended",
      values: [
        "qemu",
        "simulated"
      ]
    },
    "blixard.runtime.accelerator": {
      type: "string",
      requirement: "recommended",
      values: [
        "kvm",
        "tcg",
        "none"
      ]
    },
    "blixard.runtime.machine_type": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.instance_id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.readiness": {
      type: "string",
      requirement: "recommended",
      values: [
        "guest",
        "hypervisor"
      ]
    },
    "blixard.guest.boot_id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.guest.uptime": {
      type: "double",
      requirement: "recommended"
    },
    "blixard.guest.clock_offset": {
      type: "double",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The guest's kernel, from the first virtual CPU cycle to its init. */
export const guestKernel = {
  name: "guest.kernel",
  kind: "internal",
  brief: "The guest's kernel, from the first virtual CPU cycle to its init.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.guest.boot_id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.guest.mark": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The guest's init, until its agent runs. */
export const guestInit = {
  name: "guest.init",
  kind: "internal",
  brief: "The guest's init, until its agent runs.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.guest.boot_id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.guest.mark": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The guest's agent, until it says that it is ready. */
export const guestReady = {
  name: "guest.ready",
  kind: "internal",
  brief: "The guest's agent, until it says that it is ready.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.guest.boot_id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.guest.mark": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** A diagnosis sends this to see whether spans arrive. It has no duration of meaning. */
export const telemetryCanary = {
  name: "telemetry.canary",
  kind: "internal",
  brief: "A diagnosis sends this to see whether spans arrive. It has no duration of meaning.",
  attributes: {
    "blixard.telemetry.canary_id": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** The API validates a request for a VM and stores the intent. */
export const vmAdmit = {
  name: "vm.admit",
  kind: "internal",
  brief: "The API validates a request for a VM and stores the intent.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.operation": {
      type: "string",
      requirement: "required",
      values: [
        "create",
        "start",
        "stop",
        "restart",
        "pause",
        "resume",
        "delete",
        "recover"
      ]
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.vcpu_count": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.memory_size": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.generation": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.image.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.image.digest": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.store.revision": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The scheduler chooses a node for a VM, or says why none will do. */
export const vmPlace = {
  name: "vm.place",
  kind: "internal",
  brief: "The scheduler chooses a node for a VM, or says why none will do.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.scheduler.outcome": {
      type: "string",
      requirement: "recommended",
      values: [
        "placed",
        "pending",
        "conflict"
      ]
    },
    "blixard.scheduler.refusal": {
      type: "string",
      requirement: "recommended",
      values: [
        "no_nodes",
        "not_alive",
        "cordoned",
        "insufficient_vcpus",
        "insufficient_memory",
        "insufficient_disk",
        "too_many_vms"
      ]
    },
    "blixard.scheduler.candidate_count": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.scheduler.attempt": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.vcpu_count": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.memory_size": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The agent brings a VM from its assignment to ready. */
export const vmStart = {
  name: "vm.start",
  kind: "internal",
  brief: "The agent brings a VM from its assignment to ready.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.generation": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.state": {
      type: "string",
      requirement: "recommended",
      values: [
        "pending",
        "scheduled",
        "preparing",
        "starting",
        "running",
        "stopping",
        "stopped",
        "paused",
        "migrating",
        "failed",
        "lost"
      ]
    },
    "blixard.vm.state_reason": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.runtime.driver": {
      type: "string",
      requirement: "recommended",
      values: [
        "qemu",
        "simulated"
      ]
    },
    "blixard.runtime.accelerator": {
      type: "string",
      requirement: "recommended",
      values: [
        "kvm",
        "tcg",
        "none"
      ]
    },
    "blixard.runtime.machine_type": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.instance_id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.operation": {
      type: "string",
      requirement: "recommended",
      values: [
        "create",
        "start",
        "stop",
        "restart",
        "pause",
        "resume",
        "delete",
        "recover"
      ]
    },
    "blixard.vm.readiness": {
      type: "string",
      requirement: "recommended",
      values: [
        "guest",
        "hypervisor"
      ]
    },
    "blixard.image.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.image.digest": {
      type: "string",
      requirement: "recommended"
    },
    "process.pid": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The agent stops a VM. */
export const vmStop = {
  name: "vm.stop",
  kind: "internal",
  brief: "The agent stops a VM.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.generation": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.state": {
      type: "string",
      requirement: "recommended",
      values: [
        "pending",
        "scheduled",
        "preparing",
        "starting",
        "running",
        "stopping",
        "stopped",
        "paused",
        "migrating",
        "failed",
        "lost"
      ]
    },
    "blixard.vm.state_reason": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.instance_id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.operation": {
      type: "string",
      requirement: "recommended",
      values: [
        "create",
        "start",
        "stop",
        "restart",
        "pause",
        "resume",
        "delete",
        "recover"
      ]
    },
    "blixard.vm.stop_forced": {
      type: "boolean",
      requirement: "recommended"
    },
    "blixard.vm.exit_cause": {
      type: "string",
      requirement: "recommended",
      values: [
        "shutdown",
        "panic",
        "crash",
        "killed",
        "boot_timeout",
        "guardian_lost",
        "host_rebooted",
        "start_failed"
      ]
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The agent stops a VM and starts it again as asked. */
export const vmRestart = {
  name: "vm.restart",
  kind: "internal",
  brief: "The agent stops a VM and starts it again as asked.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.generation": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.state": {
      type: "string",
      requirement: "recommended",
      values: [
        "pending",
        "scheduled",
        "preparing",
        "starting",
        "running",
        "stopping",
        "stopped",
        "paused",
        "migrating",
        "failed",
        "lost"
      ]
    },
    "blixard.vm.state_reason": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.operation": {
      type: "string",
      requirement: "recommended",
      values: [
        "create",
        "start",
        "stop",
        "restart",
        "pause",
        "resume",
        "delete",
        "recover"
      ]
    },
    "blixard.vm.stop_forced": {
      type: "boolean",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The agent halts a VM's virtual CPUs. */
export const vmPause = {
  name: "vm.pause",
  kind: "internal",
  brief: "The agent halts a VM's virtual CPUs.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.generation": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.state": {
      type: "string",
      requirement: "recommended",
      values: [
        "pending",
        "scheduled",
        "preparing",
        "starting",
        "running",
        "stopping",
        "stopped",
        "paused",
        "migrating",
        "failed",
        "lost"
      ]
    },
    "blixard.vm.state_reason": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.operation": {
      type: "string",
      requirement: "recommended",
      values: [
        "create",
        "start",
        "stop",
        "restart",
        "pause",
        "resume",
        "delete",
        "recover"
      ]
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The agent lets a VM's virtual CPUs run again. */
export const vmResume = {
  name: "vm.resume",
  kind: "internal",
  brief: "The agent lets a VM's virtual CPUs run again.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.generation": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.state": {
      type: "string",
      requirement: "recommended",
      values: [
        "pending",
        "scheduled",
        "preparing",
        "starting",
        "running",
        "stopping",
        "stopped",
        "paused",
        "migrating",
        "failed",
        "lost"
      ]
    },
    "blixard.vm.state_reason": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.operation": {
      type: "string",
      requirement: "recommended",
      values: [
        "create",
        "start",
        "stop",
        "restart",
        "pause",
        "resume",
        "delete",
        "recover"
      ]
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The agent removes a VM and all it had. */
export const vmDelete = {
  name: "vm.delete",
  kind: "internal",
  brief: "The agent removes a VM and all it had.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.generation": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.state": {
      type: "string",
      requirement: "recommended",
      values: [
        "pending",
        "scheduled",
        "preparing",
        "starting",
        "running",
        "stopping",
        "stopped",
        "paused",
        "migrating",
        "failed",
        "lost"
      ]
    },
    "blixard.vm.state_reason": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.operation": {
      type: "string",
      requirement: "recommended",
      values: [
        "create",
        "start",
        "stop",
        "restart",
        "pause",
        "resume",
        "delete",
        "recover"
      ]
    },
    "blixard.vm.stop_forced": {
      type: "boolean",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The agent brings a VM back after its guest ended by itself. */
export const vmRecover = {
  name: "vm.recover",
  kind: "internal",
  brief: "The agent brings a VM back after its guest ended by itself.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.generation": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.state": {
      type: "string",
      requirement: "recommended",
      values: [
        "pending",
        "scheduled",
        "preparing",
        "starting",
        "running",
        "stopping",
        "stopped",
        "paused",
        "migrating",
        "failed",
        "lost"
      ]
    },
    "blixard.vm.state_reason": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.runtime.driver": {
      type: "string",
      requirement: "recommended",
      values: [
        "qemu",
        "simulated"
      ]
    },
    "blixard.runtime.accelerator": {
      type: "string",
      requirement: "recommended",
      values: [
        "kvm",
        "tcg",
        "none"
      ]
    },
    "blixard.runtime.machine_type": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.instance_id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.exit_cause": {
      type: "string",
      requirement: "recommended",
      values: [
        "shutdown",
        "panic",
        "crash",
        "killed",
        "boot_timeout",
        "guardian_lost",
        "host_rebooted",
        "start_failed"
      ]
    },
    "blixard.vm.restart_count": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.restart_policy": {
      type: "string",
      requirement: "recommended",
      values: [
        "never",
        "on-failure",
        "always"
      ]
    },
    "blixard.vm.restart_delay": {
      type: "double",
      requirement: "recommended"
    },
    "blixard.image.digest": {
      type: "string",
      requirement: "recommended"
    },
    "process.pid": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The VM's image is made whole on the node. */
export const vmImage = {
  name: "vm.image",
  kind: "internal",
  brief: "The VM's image is made whole on the node.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.image.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.image.digest": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.image.size": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.image.cache_result": {
      type: "string",
      requirement: "recommended",
      values: [
        "hit",
        "miss"
      ]
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The VM's overlays and disks are made. */
export const vmDisks = {
  name: "vm.disks",
  kind: "internal",
  brief: "The VM's overlays and disks are made.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.disk_count": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The VM's ports and interfaces are made. */
export const vmNetwork = {
  name: "vm.network",
  kind: "internal",
  brief: "The VM's ports and interfaces are made.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.network_kind": {
      type: "string",
      requirement: "recommended",
      values: [
        "none",
        "user",
        "bridge"
      ]
    },
    "blixard.vm.published_ports": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** A call to the store. */
export const dbClient = {
  name: "db.client",
  kind: "client",
  brief: "A call to the store.",
  attributes: {
    "db.system.name": {
      type: "string",
      requirement: "required"
    },
    "db.operation.name": {
      type: "string",
      requirement: "required",
      values: [
        "range",
        "put",
        "delete_range",
        "txn",
        "compact",
        "watch",
        "lease_grant",
        "lease_revoke",
        "lease_keep_alive",
        "lease_time_to_live",
        "status",
        "member_list",
        "defragment",
        "alarm"
      ]
    },
    "db.collection.name": {
      type: "string",
      requirement: "recommended"
    },
    "db.response.status_code": {
      type: "string",
      requirement: "recommended"
    },
    "db.operation.batch.size": {
      type: "int",
      requirement: "recommended"
    },
    "server.address": {
      type: "string",
      requirement: "recommended"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.store.revision": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.store.succeeded": {
      type: "boolean",
      requirement: "recommended"
    },
    "blixard.store.operation_count": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.store.entry_count": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** An incoming remote procedure call. */
export const rpcServer = {
  name: "rpc.server",
  kind: "server",
  brief: "An incoming remote procedure call.",
  attributes: {
    "rpc.system.name": {
      type: "string",
      requirement: "required",
      values: [
        "grpc",
        "connectrpc"
      ]
    },
    "rpc.method": {
      type: "string",
      requirement: "required"
    },
    "rpc.status_code": {
      type: "string",
      requirement: "recommended"
    },
    "rpc.method_original": {
      type: "string",
      requirement: "recommended"
    },
    "server.address": {
      type: "string",
      requirement: "recommended"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    },
    "client.address": {
      type: "string",
      requirement: "recommended"
    },
    "client.port": {
      type: "int",
      requirement: "recommended"
    },
    "network.peer.address": {
      type: "string",
      requirement: "recommended"
    },
    "network.peer.port": {
      type: "int",
      requirement: "recommended"
    },
    "network.transport": {
      type: "string",
      requirement: "recommended",
      values: [
        "tcp",
        "unix"
      ]
    },
    "blixard.grpc.listener": {
      type: "string",
      requirement: "recommended",
      values: [
        "unix",
        "tcp"
      ]
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.image.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** An outgoing remote procedure call. */
export const rpcClient = {
  name: "rpc.client",
  kind: "client",
  brief: "An outgoing remote procedure call.",
  attributes: {
    "rpc.system.name": {
      type: "string",
      requirement: "required",
      values: [
        "grpc",
        "connectrpc"
      ]
    },
    "rpc.method": {
      type: "string",
      requirement: "required"
    },
    "rpc.status_code": {
      type: "string",
      requirement: "recommended"
    },
    "server.address": {
      type: "string",
      requirement: "required"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    },
    "network.peer.address": {
      type: "string",
      requirement: "recommended"
    },
    "network.peer.port": {
      type: "int",
      requirement: "recommended"
    },
    "network.transport": {
      type: "string",
      requirement: "recommended",
      values: [
        "tcp",
        "unix"
      ]
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.code": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;
