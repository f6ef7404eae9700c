// Generated from telemetry/registry by scripts/generate.ts. Do not edit.

/** The node serves. */
export const nodeReady = {
  name: "blixard.node.ready",
  severity: "info",
  brief: "The node serves.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.node.start_duration": {
      type: "double",
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
    "blixard.store.kind": {
      type: "string",
      requirement: "recommended",
      values: [
        "embedded",
        "external",
        "memory"
      ]
    }
  }
} as const;

/** The guardian ended and its guests with it. */
export const guardianExited = {
  name: "blixard.guardian.exited",
  severity: "error",
  brief: "The guardian ended and its guests with it.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "process.pid": {
      type: "int",
      requirement: "recommended"
    }
  }
} as const;

/** The consensus has another leader, or none. */
export const storeLeaderChanged = {
  name: "blixard.store.leader_changed",
  severity: "info",
  brief: "The consensus has another leader, or none.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.store.leader_id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.store.member_id": {
      type: "string",
      requirement: "recommended"
    }
  }
} as const;

/** The supervised consensus member ended. */
export const storeMemberExited = {
  name: "blixard.store.member_exited",
  severity: "error",
  brief: "The supervised consensus member ended.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "process.pid": {
      type: "int",
      requirement: "recommended"
    },
    "process.exit.code": {
      type: "int",
      requirement: "recommended"
    }
  }
} as const;

/** A call that changes something was accepted. It is logged whatever the level. */
export const audit = {
  name: "blixard.audit",
  severity: "info",
  brief: "A call that changes something was accepted. It is logged whatever the level.",
  attributes: {
    "blixard.audit.action": {
      type: "string",
      requirement: "required"
    },
    "blixard.audit.subject": {
      type: "string",
      requirement: "conditionally_required"
    },
    "blixard.audit.detail": {
      type: "string",
      requirement: "conditionally_required"
    },
    "blixard.grpc.listener": {
      type: "string",
      requirement: "required",
      values: [
        "unix",
        "tcp"
      ]
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "conditionally_required"
    },
    "network.peer.address": {
      type: "string",
      requirement: "recommended"
    }
  }
} as const;

/** A destination that was failing is back. */
export const telemetryGap = {
  name: "blixard.telemetry.gap",
  severity: "warn",
  brief: "A destination that was failing is back.",
  attributes: {
    "blixard.telemetry.destination": {
      type: "string",
      requirement: "required"
    },
    "blixard.telemetry.signal": {
      type: "string",
      requirement: "required",
      values: [
        "traces",
        "metrics",
        "logs"
      ]
    },
    "blixard.telemetry.gap.from": {
      type: "string",
      requirement: "required"
    },
    "blixard.telemetry.gap.to": {
      type: "string",
      requirement: "required"
    },
    "blixard.telemetry.gap.lost": {
      type: "int",
      requirement: "required"
    }
  }
} as const;

/** A diagnosis sends this to see whether logs arrive. */
export const telemetryCanary = {
  name: "blixard.telemetry.canary",
  severity: "info",
  brief: "A diagnosis sends this to see whether logs arrive.",
  attributes: {
    "blixard.telemetry.canary_id": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** A destination of telemetry changed its state for a signal. */
export const telemetryDestinationState = {
  name: "blixard.telemetry.destination_state",
  severity: "info",
  brief: "A destination of telemetry changed its state for a signal.",
  attributes: {
    "blixard.telemetry.destination": {
      type: "string",
      requirement: "required"
    },
    "blixard.telemetry.signal": {
      type: "string",
      requirement: "required",
      values: [
        "traces",
        "metrics",
        "logs"
      ]
    },
    "blixard.telemetry.destination_state": {
      type: "string",
      requirement: "required",
      values: [
        "starting",
        "ok",
        "failing",
        "unsupported"
      ]
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** A VM changed its state. */
export const vmStateChanged = {
  name: "blixard.vm.state_changed",
  severity: "info",
  brief: "A VM changed its state.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.previous_state": {
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
    "blixard.vm.state": {
      type: "string",
      requirement: "required",
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
      requirement: "required"
    },
    "blixard.vm.generation": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.operation.id": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "recommended"
    }
  }
} as const;

/** The node restarted a VM whose guest had ended. */
export const vmRestarted = {
  name: "blixard.vm.restarted",
  severity: "warn",
  brief: "The node restarted a VM whose guest had ended.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.exit_cause": {
      type: "string",
      requirement: "required",
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
    }
  }
} as const;

/** A guest ended. */
export const vmExited = {
  name: "blixard.vm.exited",
  severity: "info",
  brief: "A guest ended.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.instance_id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.exit_cause": {
      type: "string",
      requirement: "required",
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
    "blixard.vm.exit_code": {
      type: "int",
      requirement: "recommended"
    },
    "blixard.vm.exit_signal": {
      type: "string",
      requirement: "recommended"
    }
  }
} as const;

/** A guest that an earlier daemon had launched was found running and kept. */
export const vmAdopted = {
  name: "blixard.vm.adopted",
  severity: "info",
  brief: "A guest that an earlier daemon had launched was found running and kept.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.node.id": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.vm.instance_id": {
      type: "string",
      requirement: "recommended"
    },
    "process.pid": {
      type: "int",
      requirement: "recommended"
    }
  }
} as const;

/** A call to the store failed with an exception. */
export const dbClientOperationException = {
  name: "db.client.operation.exception",
  severity: "warn",
  brief: "A call to the store failed with an exception.",
  attributes: {
    "exception.type": {
      type: "string",
      requirement: "required"
    },
    "exception.message": {
      type: "string",
      requirement: "required"
    },
    "exception.stacktrace": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.hint": {
      type: "string",
      requirement: "recommended"
    }
  }
} as const;

/** An exception ended an operation, and nothing below had told of it. */
export const exception = {
  name: "exception",
  severity: "error",
  brief: "An exception ended an operation, and nothing below had told of it.",
  attributes: {
    "exception.type": {
      type: "string",
      requirement: "required"
    },
    "exception.message": {
      type: "string",
      requirement: "required"
    },
    "exception.stacktrace": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.hint": {
      type: "string",
      requirement: "recommended"
    }
  }
} as const;

/** An exception ended an incoming call, and nothing below had told of it. */
export const rpcServerCallException = {
  name: "rpc.server.call.exception",
  severity: "error",
  brief: "An exception ended an incoming call, and nothing below had told of it.",
  attributes: {
    "exception.type": {
      type: "string",
      requirement: "required"
    },
    "exception.message": {
      type: "string",
      requirement: "required"
    },
    "exception.stacktrace": {
      type: "string",
      requirement: "recommended"
    },
    "blixard.error.hint": {
      type: "string",
      requirement: "recommended"
    }
  }
} as const;
