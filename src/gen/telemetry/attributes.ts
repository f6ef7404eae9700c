// Generated from telemetry/registry by scripts/generate.ts. Do not edit.

/** Every attribute that Blixard may put on a signal, by its name. */
export const attributes = {
  "blixard.operation.id": {
    type: "string",
    brief: "Id of the operation a user asked for; the same id is the same operation."
  },
  "blixard.error.code": {
    type: "string",
    brief: "Code of the error, from Blixard's table of errors."
  },
  "blixard.error.hint": {
    type: "string",
    brief: "What to do next about the error."
  },
  "blixard.link.relation": {
    type: "string",
    brief: "Why a span links to another one."
  },
  "blixard.cli.command": {
    type: "string",
    brief: "The command that was typed, without arguments."
  },
  "blixard.cli.exit_code": {
    type: "int",
    brief: "Exit code of the command."
  },
  "blixard.grpc.rejection_reason": {
    type: "string",
    brief: "Why a call was refused before its handler ran.",
    values: [
      "auth",
      "rate_limit",
      "overload",
      "invalid",
      "shutting_down"
    ]
  },
  "blixard.grpc.listener": {
    type: "string",
    brief: "Listener that took the call.",
    values: [
      "unix",
      "tcp"
    ]
  },
  "blixard.image.name": {
    type: "string",
    brief: "Name of the image."
  },
  "blixard.image.digest": {
    type: "string",
    brief: "Digest of the image's manifest."
  },
  "blixard.image.size": {
    type: "int",
    brief: "Bytes of the image's files."
  },
  "blixard.image.chunk_count": {
    type: "int",
    brief: "Chunks of the image."
  },
  "blixard.image.cache_result": {
    type: "string",
    brief: "Whether whole files were there already.",
    values: [
      "hit",
      "miss"
    ]
  },
  "blixard.image.storage_kind": {
    type: "string",
    brief: "What the space is used for.",
    values: [
      "chunks",
      "files"
    ]
  },
  "blixard.node.id": {
    type: "string",
    brief: "Id of the node."
  },
  "blixard.node.state": {
    type: "string",
    brief: "State of the node.",
    values: [
      "starting",
      "ready",
      "stopping",
      "down"
    ]
  },
  "blixard.node.resource": {
    type: "string",
    brief: "Resource of the node.",
    values: [
      "cpu",
      "memory",
      "disk",
      "io"
    ]
  },
  "blixard.node.pressure_kind": {
    type: "string",
    brief: "Whose time was lost.",
    values: [
      "some",
      "full"
    ]
  },
  "blixard.node.pressure_window": {
    type: "string",
    brief: "Window over which the share is averaged.",
    values: [
      "10s",
      "60s",
      "300s"
    ]
  },
  "blixard.node.start_duration": {
    type: "double",
    brief: "Seconds from the start of the process until the node served."
  },
  "blixard.node.adopted_count": {
    type: "int",
    brief: "Machines found running and kept."
  },
  "blixard.node.exited_count": {
    type: "int",
    brief: "Machines found ended."
  },
  "blixard.certificate.role": {
    type: "string",
    brief: "What the certificate is for.",
    values: [
      "metrics_server",
      "metrics_client_ca",
      "otlp_client",
      "otlp_ca",
      "store_client",
      "store_ca"
    ]
  },
  "blixard.peer.state": {
    type: "string",
    brief: "State of the connection to another node.",
    values: [
      "connected",
      "connecting",
      "suspect",
      "down"
    ]
  },
  "blixard.raft.index_type": {
    type: "string",
    brief: "Which position in the log.",
    values: [
      "committed",
      "applied"
    ]
  },
  "blixard.raft.member_role": {
    type: "string",
    brief: "Role of a member.",
    values: [
      "voter",
      "learner"
    ]
  },
  "blixard.raft.member_health": {
    type: "string",
    brief: "Whether a member answers.",
    values: [
      "healthy",
      "unhealthy"
    ]
  },
  "blixard.raft.storage_state": {
    type: "string",
    brief: "What the space in the member's database holds.",
    values: [
      "in_use",
      "free"
    ]
  },
  "blixard.runtime.driver": {
    type: "string",
    brief: "What runs guests.",
    values: [
      "qemu",
      "simulated"
    ]
  },
  "blixard.runtime.accelerator": {
    type: "string",
    brief: "How guests' instructions are executed.",
    values: [
      "kvm",
      "tcg",
      "none"
    ]
  },
  "blixard.runtime.accelerator_reason": {
    type: "string",
    brief: "Why the accelerator is what it is."
  },
  "blixard.runtime.machine_type": {
    type: "string",
    brief: "Machine type of the hypervisor."
  },
  "blixard.runtime.hypervisor_version": {
    type: "string",
    brief: "Version of the hypervisor."
  },
  "blixard.guardian.adopted": {
    type: "boolean",
    brief: "Whether a guardian of an earlier daemon was found and kept."
  },
  "blixard.guest.boot_id": {
    type: "string",
    brief: "Boot id of the guest's kernel."
  },
  "blixard.guest.uptime": {
    type: "double",
    brief: "Seconds since the guest's kernel started, by its own clock, when it reported."
  },
  "blixard.guest.mark": {
    type: "string",
    brief: "Mark of the guest's boot that ends the span."
  },
  "blixard.guest.clock_offset": {
    type: "double",
    brief: "Seconds added to the guest's marks to place them on the host's clock."
  },
  "blixard.scheduler.outcome": {
    type: "string",
    brief: "What was decided.",
    values: [
      "placed",
      "pending",
      "conflict"
    ]
  },
  "blixard.scheduler.refusal": {
    type: "string",
    brief: "Why no node would do.",
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
    brief: "Nodes that were considered."
  },
  "blixard.scheduler.attempt": {
    type: "int",
    brief: "Which attempt it is, from 1."
  },
  "blixard.scheduler.reconciler": {
    type: "string",
    brief: "Name of a control loop."
  },
  "blixard.store.kind": {
    type: "string",
    brief: "Where the store is.",
    values: [
      "embedded",
      "external",
      "memory"
    ]
  },
  "blixard.store.revision": {
    type: "int",
    brief: "Revision of the store."
  },
  "blixard.store.member_id": {
    type: "string",
    brief: "Id of a consensus member."
  },
  "blixard.store.leader_id": {
    type: "string",
    brief: "Id of the member that leads."
  },
  "blixard.store.succeeded": {
    type: "boolean",
    brief: "Whether a transaction's conditions held."
  },
  "blixard.store.operation_count": {
    type: "int",
    brief: "Operations in a transaction."
  },
  "blixard.store.entry_count": {
    type: "int",
    brief: "Entries that were read."
  },
  "blixard.telemetry.baggage_drop_reason": {
    type: "string",
    brief: "Why a member of a caller's baggage did not travel on.",
    values: [
      "untrusted",
      "malformed",
      "not_allowed",
      "limit"
    ]
  },
  "blixard.telemetry.attribute": {
    type: "string",
    brief: "Key of an attribute."
  },
  "blixard.audit.action": {
    type: "string",
    brief: "What was done, as the method that did it."
  },
  "blixard.audit.subject": {
    type: "string",
    brief: "To what it was done, as the caller named it."
  },
  "blixard.audit.detail": {
    type: "string",
    brief: "What it was changed to, where that is one word."
  },
  "blixard.telemetry.gap.from": {
    type: "string",
    brief: "When a destination began to fail, ISO 8601."
  },
  "blixard.telemetry.gap.to": {
    type: "string",
    brief: "When it was back, ISO 8601."
  },
  "blixard.telemetry.gap.lost": {
    type: "int",
    brief: "Spans, metric points or log records that were lost meanwhile; what waits on disk is not."
  },
  "blixard.telemetry.canary_id": {
    type: "string",
    brief: "Id of a diagnosis, the same on its span, metric and log."
  },
  "blixard.telemetry.format": {
    type: "string",
    brief: "Format of a scrape.",
    values: [
      "openmetrics",
      "prometheus_text",
      "prometheus_protobuf"
    ]
  },
  "blixard.telemetry.group": {
    type: "string",
    brief: "Group of metrics that are collected together."
  },
  "blixard.telemetry.metric": {
    type: "string",
    brief: "Name of a metric."
  },
  "blixard.telemetry.rejection_reason": {
    type: "string",
    brief: "Why a scrape was refused or cut off.",
    values: [
      "busy",
      "timeout",
      "aborted",
      "stalled",
      "auth"
    ]
  },
  "blixard.telemetry.drop_reason": {
    type: "string",
    brief: "Why a measurement was not taken.",
    values: [
      "negative",
      "not_finite",
      "type"
    ]
  },
  "blixard.telemetry.destination": {
    type: "string",
    brief: "Destination of exported telemetry, without credentials."
  },
  "blixard.telemetry.signal": {
    type: "string",
    brief: "Kind of telemetry.",
    values: [
      "traces",
      "metrics",
      "logs"
    ]
  },
  "blixard.telemetry.destination_state": {
    type: "string",
    brief: "State of a destination for one signal.",
    values: [
      "starting",
      "ok",
      "failing",
      "unsupported"
    ]
  },
  "blixard.telemetry.item_count": {
    type: "int",
    brief: "Items concerned."
  },
  "blixard.vm.id": {
    type: "string",
    brief: "Id of the VM, never reused."
  },
  "blixard.vm.name": {
    type: "string",
    brief: "Name of the VM, unique while it exists."
  },
  "blixard.vm.instance_id": {
    type: "string",
    brief: "Names one run of the guest; every launch has a fresh one."
  },
  "blixard.vm.state": {
    type: "string",
    brief: "State of the VM.",
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
  "blixard.vm.previous_state": {
    type: "string",
    brief: "State of the VM before the change.",
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
    brief: "Machine-readable reason of the state, from a short fixed list."
  },
  "blixard.vm.operation": {
    type: "string",
    brief: "What was asked for, or what the node did by itself.",
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
  "blixard.vm.phase": {
    type: "string",
    brief: "Part of bringing a VM up.",
    values: [
      "placement",
      "image",
      "disks",
      "network",
      "vmm_spawn",
      "kernel_boot",
      "guest_init",
      "guest_ready"
    ]
  },
  "blixard.vm.exit_cause": {
    type: "string",
    brief: "Why a guest ended.",
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
    brief: "Exit code of the hypervisor."
  },
  "blixard.vm.exit_signal": {
    type: "string",
    brief: "Signal that ended the hypervisor."
  },
  "blixard.vm.readiness": {
    type: "string",
    brief: "Whose word it is that the VM runs.",
    values: [
      "guest",
      "hypervisor"
    ]
  },
  "blixard.vm.vcpu_count": {
    type: "int",
    brief: "Virtual CPUs of the VM."
  },
  "blixard.vm.memory_size": {
    type: "int",
    brief: "Memory of the VM in bytes."
  },
  "blixard.vm.disk_count": {
    type: "int",
    brief: "Disks of the VM beside its image's."
  },
  "blixard.vm.disk_name": {
    type: "string",
    brief: "Name of a disk of the VM."
  },
  "blixard.vm.network_kind": {
    type: "string",
    brief: "How the VM is connected.",
    values: [
      "none",
      "user",
      "bridge"
    ]
  },
  "blixard.vm.generation": {
    type: "int",
    brief: "Grows with every change of what the user wants."
  },
  "blixard.vm.restart_count": {
    type: "int",
    brief: "Restarts since the VM was last asked to run."
  },
  "blixard.vm.restart_policy": {
    type: "string",
    brief: "What happens when the guest ends.",
    values: [
      "never",
      "on-failure",
      "always"
    ]
  },
  "blixard.vm.restart_delay": {
    type: "double",
    brief: "Seconds until the restart is tried."
  },
  "blixard.vm.stop_forced": {
    type: "boolean",
    brief: "Whether the guest had to be killed."
  },
  "blixard.vm.memory_state": {
    type: "string",
    brief: "Whose account of memory it is.",
    values: [
      "resident",
      "guest_used",
      "guest_available"
    ]
  },
  "blixard.vm.published_ports": {
    type: "string",
    brief: "Ports published on the host, as `host:port->guest port/protocol`, joined by commas."
  },
  baggage: {
    type: "string",
    brief: "A member of the baggage by its key, if the configuration lists it (observability.context.baggage_attributes). Never on metrics.",
    template: true
  },
  "db.system.name": {
    type: "string",
    brief: "The database; `etcd` here."
  },
  "db.operation.name": {
    type: "string",
    brief: "Operation.",
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
    brief: "Family of keys."
  },
  "db.response.status_code": {
    type: "string",
    brief: "Name of the status code of a call that failed."
  },
  "db.operation.batch.size": {
    type: "int",
    brief: "Operations in a transaction of two or more."
  },
  "error.type": {
    type: "string",
    brief: "Class of the error, low in cardinality."
  },
  "exception.type": {
    type: "string",
    brief: "Type of the exception; of our own errors the code, of system errors theirs, else the class."
  },
  "exception.message": {
    type: "string",
    brief: "Message of the exception."
  },
  "exception.stacktrace": {
    type: "string",
    brief: "Stack trace of the exception; absent where its code says all, as for an operator's mistake."
  },
  "server.address": {
    type: "string",
    brief: "Domain name, address or unix socket of the server."
  },
  "server.port": {
    type: "int",
    brief: "Port of the server."
  },
  "client.address": {
    type: "string",
    brief: "Address of the client."
  },
  "client.port": {
    type: "int",
    brief: "Port of the client."
  },
  "network.transport": {
    type: "string",
    brief: "Transport.",
    values: [
      "tcp",
      "unix"
    ]
  },
  "network.peer.address": {
    type: "string",
    brief: "Address of the peer."
  },
  "network.peer.port": {
    type: "int",
    brief: "Port of the peer."
  },
  "network.protocol.version": {
    type: "string",
    brief: "Version of the protocol."
  },
  "network.io.direction": {
    type: "string",
    brief: "Direction.",
    values: [
      "transmit",
      "receive"
    ]
  },
  "network.interface.name": {
    type: "string",
    brief: "Name of the network interface."
  },
  "url.scheme": {
    type: "string",
    brief: "Scheme."
  },
  "cpu.mode": {
    type: "string",
    brief: "What a processor spent its time on.",
    values: [
      "user",
      "system",
      "nice",
      "idle",
      "iowait",
      "interrupt",
      "steal"
    ]
  },
  "disk.io.direction": {
    type: "string",
    brief: "Direction.",
    values: [
      "read",
      "write"
    ]
  },
  "http.request.method": {
    type: "string",
    brief: "Method; `_OTHER` if it is not known.",
    values: [
      "GET",
      "HEAD",
      "POST",
      "PUT",
      "DELETE",
      "CONNECT",
      "OPTIONS",
      "TRACE",
      "PATCH",
      "_OTHER"
    ]
  },
  "http.route": {
    type: "string",
    brief: "The matched route."
  },
  "http.response.status_code": {
    type: "int",
    brief: "Status code."
  },
  "nodejs.eventloop.state": {
    type: "string",
    brief: "The state of event loop time.",
    values: [
      "active",
      "idle"
    ]
  },
  "v8js.gc.type": {
    type: "string",
    brief: "The type of garbage collection.",
    values: [
      "major",
      "minor",
      "incremental",
      "weakcb"
    ]
  },
  "v8js.heap.space.name": {
    type: "string",
    brief: "The name of the space type of heap memory."
  },
  "otel.component.type": {
    type: "string",
    brief: "Type of the component."
  },
  "otel.component.name": {
    type: "string",
    brief: "Name of the component, unique in this process."
  },
  "otel.span.sampling_result": {
    type: "string",
    brief: "The result value of the sampler for this span.",
    values: [
      "DROP",
      "RECORD_ONLY",
      "RECORD_AND_SAMPLE"
    ]
  },
  "otel.span.parent.origin": {
    type: "string",
    brief: "Whether the span has a parent, and where.",
    values: [
      "none",
      "local",
      "remote"
    ]
  },
  "otel.metric.overflow": {
    type: "boolean",
    brief: "Marks the series that takes all measurements over a metric's limit."
  },
  "process.pid": {
    type: "int",
    brief: "Process id."
  },
  "process.parent_pid": {
    type: "int",
    brief: "Id of the process that started it."
  },
  "process.creation.time": {
    type: "string",
    brief: "When it was started."
  },
  "process.command": {
    type: "string",
    brief: "The script; never its arguments, which may hold anything."
  },
  "process.owner": {
    type: "string",
    brief: "Name of the user."
  },
  "process.executable.name": {
    type: "string",
    brief: "Name of the program."
  },
  "process.runtime.description": {
    type: "string",
    brief: "The runtime in words."
  },
  "process.exit.code": {
    type: "int",
    brief: "Exit code."
  },
  "process.executable.path": {
    type: "string",
    brief: "Path of the program."
  },
  "process.runtime.name": {
    type: "string",
    brief: "What runs the program."
  },
  "process.runtime.version": {
    type: "string",
    brief: "Version of what runs the program."
  },
  "process.context_switch.type": {
    type: "string",
    brief: "Whether the process gave way by itself.",
    values: [
      "voluntary",
      "involuntary"
    ]
  },
  "service.name": {
    type: "string",
    brief: "Name of the service: a node's as configured, `blixard-cli` a command's, `blixard-guest` a guest's."
  },
  "service.namespace": {
    type: "string",
    brief: "The cluster's name."
  },
  "service.version": {
    type: "string",
    brief: "Version of Blixard."
  },
  "service.instance.id": {
    type: "string",
    brief: "Of a node: made from its cluster and name, so that it stays. Of a guest: made from its VM's id, so that it stays too. Of a command: its own."
  },
  "deployment.environment.name": {
    type: "string",
    brief: "What the operator calls the environment."
  },
  "telemetry.sdk.name": {
    type: "string",
    brief: "Blixard, whose exporters and metrics engine are its own."
  },
  "telemetry.sdk.language": {
    type: "string",
    brief: "Language."
  },
  "telemetry.sdk.version": {
    type: "string",
    brief: "Version."
  },
  "host.id": {
    type: "string",
    brief: "The machine's id, or the cloud's for it; a guest's is its VM's."
  },
  "host.name": {
    type: "string",
    brief: "Name of the machine, or of the VM."
  },
  "host.arch": {
    type: "string",
    brief: "Architecture."
  },
  "host.type": {
    type: "string",
    brief: "The cloud's name for the kind of machine."
  },
  "os.type": {
    type: "string",
    brief: "Type."
  },
  "os.name": {
    type: "string",
    brief: "Name of the distribution."
  },
  "os.version": {
    type: "string",
    brief: "Release of the kernel."
  },
  "os.build_id": {
    type: "string",
    brief: "Build of the kernel."
  },
  "os.description": {
    type: "string",
    brief: "Name and version of the distribution."
  },
  "container.id": {
    type: "string",
    brief: "Id of the container."
  },
  "container.runtime.name": {
    type: "string",
    brief: "What runs the container."
  },
  "cloud.provider": {
    type: "string",
    brief: "Provider."
  },
  "cloud.platform": {
    type: "string",
    brief: "Platform."
  },
  "cloud.region": {
    type: "string",
    brief: "Region."
  },
  "cloud.account.id": {
    type: "string",
    brief: "Account, project or subscription."
  },
  "cloud.resource_id": {
    type: "string",
    brief: "The provider's name of the resource."
  },
  "k8s.cluster.name": {
    type: "string",
    brief: "Cluster."
  },
  "k8s.namespace.name": {
    type: "string",
    brief: "Namespace."
  },
  "k8s.node.name": {
    type: "string",
    brief: "Node."
  },
  "k8s.pod.name": {
    type: "string",
    brief: "Pod."
  },
  "k8s.pod.uid": {
    type: "string",
    brief: "Id of the pod."
  },
  "k8s.container.name": {
    type: "string",
    brief: "Container in the pod."
  },
  "k8s.deployment.name": {
    type: "string",
    brief: "Deployment."
  },
  "rpc.system.name": {
    type: "string",
    brief: "Protocol of the call.",
    values: [
      "grpc",
      "connectrpc"
    ]
  },
  "rpc.method": {
    type: "string",
    brief: "Fully qualified method; `_OTHER` if it is not known."
  },
  "rpc.method_original": {
    type: "string",
    brief: "The method as it was asked for, if it is not known."
  },
  "rpc.status_code": {
    type: "string",
    brief: "Name of the status code."
  },
  "system.device.name": {
    type: "string",
    brief: "Name of a disk or network interface."
  },
  "system.memory.state": {
    type: "string",
    brief: "What memory is used for.",
    values: [
      "used",
      "free",
      "buffers",
      "cached"
    ]
  },
  "system.paging.state": {
    type: "string",
    brief: "State of swap space.",
    values: [
      "used",
      "free"
    ]
  },
  "system.paging.direction": {
    type: "string",
    brief: "Direction of paging.",
    values: [
      "in",
      "out"
    ]
  },
  "system.paging.fault.type": {
    type: "string",
    brief: "Kind of page fault.",
    values: [
      "major",
      "minor"
    ]
  },
  "system.filesystem.state": {
    type: "string",
    brief: "State of a file system's space.",
    values: [
      "used",
      "free",
      "reserved"
    ]
  },
  "system.filesystem.type": {
    type: "string",
    brief: "Type of the file system."
  },
  "system.filesystem.mode": {
    type: "string",
    brief: "Mode of the file system."
  },
  "system.filesystem.mountpoint": {
    type: "string",
    brief: "Where the file system is mounted."
  }
} as const;
