// Generated from telemetry/registry by scripts/generate.ts. Do not edit.

/** Time of a call served, from its headers to its end. */
export const grpcServerCallDuration = {
  name: "blixard.grpc.server.call.duration",
  prometheusName: "blixard_grpc_server_call_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time of a call served, from its headers to its end.",
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
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  },
  buckets: [
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10
  ]
} as const;

/** Calls being served. */
export const grpcServerCallActive = {
  name: "blixard.grpc.server.call.active",
  prometheusName: "blixard_grpc_server_call_active",
  instrument: "updowncounter",
  unit: "{call}",
  valueType: "int",
  brief: "Calls being served.",
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
    }
  }
} as const;

/** Streaming calls being served. */
export const grpcServerStreamActive = {
  name: "blixard.grpc.server.stream.active",
  prometheusName: "blixard_grpc_server_stream_active",
  instrument: "updowncounter",
  unit: "{stream}",
  valueType: "int",
  brief: "Streaming calls being served.",
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
    }
  }
} as const;

/** Size of each message received. */
export const grpcServerRequestSize = {
  name: "blixard.grpc.server.request.size",
  prometheusName: "blixard_grpc_server_request_size_bytes",
  instrument: "histogram",
  unit: "By",
  valueType: "int",
  brief: "Size of each message received.",
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
    }
  },
  buckets: [
    128,
    1024,
    4096,
    16384,
    65536,
    262144,
    1048576,
    4194304,
    16777216
  ]
} as const;

/** Size of each message sent. */
export const grpcServerResponseSize = {
  name: "blixard.grpc.server.response.size",
  prometheusName: "blixard_grpc_server_response_size_bytes",
  instrument: "histogram",
  unit: "By",
  valueType: "int",
  brief: "Size of each message sent.",
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
    }
  },
  buckets: [
    128,
    1024,
    4096,
    16384,
    65536,
    262144,
    1048576,
    4194304,
    16777216
  ]
} as const;

/** Calls refused before their handler ran. */
export const grpcServerRejected = {
  name: "blixard.grpc.server.rejected",
  prometheusName: "blixard_grpc_server_rejected_total",
  instrument: "counter",
  unit: "{call}",
  valueType: "int",
  brief: "Calls refused before their handler ran.",
  attributes: {
    "blixard.grpc.rejection_reason": {
      type: "string",
      requirement: "required",
      values: [
        "auth",
        "rate_limit",
        "overload",
        "invalid",
        "shutting_down"
      ]
    }
  }
} as const;

/** Images that the cluster knows. */
export const imageCount = {
  name: "blixard.image.count",
  prometheusName: "blixard_image_count",
  instrument: "updowncounter",
  unit: "{image}",
  valueType: "int",
  brief: "Images that the cluster knows.",
  attributes: {}
} as const;

/** Time to receive, verify and keep an image. */
export const imageImportDuration = {
  name: "blixard.image.import.duration",
  prometheusName: "blixard_image_import_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time to receive, verify and keep an image.",
  attributes: {
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  },
  buckets: [
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300
  ]
} as const;

/** Bytes of imported images. */
export const imageImportIo = {
  name: "blixard.image.import.io",
  prometheusName: "blixard_image_import_io_bytes_total",
  instrument: "counter",
  unit: "By",
  valueType: "int",
  brief: "Bytes of imported images.",
  attributes: {}
} as const;

/** Time to put an image's chunks together to whole files. */
export const imageMaterializationDuration = {
  name: "blixard.image.materialization.duration",
  prometheusName: "blixard_image_materialization_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time to put an image's chunks together to whole files.",
  attributes: {
    "blixard.image.cache_result": {
      type: "string",
      requirement: "required",
      values: [
        "hit",
        "miss"
      ]
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  },
  buckets: [
    0.001,
    0.005,
    0.01,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30
  ]
} as const;

/** Disk space that images take on this node. */
export const imageStorageUsage = {
  name: "blixard.image.storage.usage",
  prometheusName: "blixard_image_storage_usage_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Disk space that images take on this node.",
  attributes: {
    "blixard.image.storage_kind": {
      type: "string",
      requirement: "required",
      values: [
        "chunks",
        "files"
      ]
    }
  }
} as const;

/** Virtual CPUs that VMs may be given. */
export const nodeCpuLimit = {
  name: "blixard.node.cpu.limit",
  prometheusName: "blixard_node_cpu_limit",
  instrument: "updowncounter",
  unit: "{vcpu}",
  valueType: "int",
  brief: "Virtual CPUs that VMs may be given.",
  attributes: {}
} as const;

/** Virtual CPUs that VMs were given. */
export const nodeCpuAllocated = {
  name: "blixard.node.cpu.allocated",
  prometheusName: "blixard_node_cpu_allocated",
  instrument: "updowncounter",
  unit: "{vcpu}",
  valueType: "int",
  brief: "Virtual CPUs that VMs were given.",
  attributes: {}
} as const;

/** Virtual CPUs kept for the node itself. */
export const nodeCpuReserved = {
  name: "blixard.node.cpu.reserved",
  prometheusName: "blixard_node_cpu_reserved",
  instrument: "updowncounter",
  unit: "{vcpu}",
  valueType: "int",
  brief: "Virtual CPUs kept for the node itself.",
  attributes: {}
} as const;

/** Memory that VMs may be given. */
export const nodeMemoryLimit = {
  name: "blixard.node.memory.limit",
  prometheusName: "blixard_node_memory_limit_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Memory that VMs may be given.",
  attributes: {}
} as const;

/** Memory that VMs were given. */
export const nodeMemoryAllocated = {
  name: "blixard.node.memory.allocated",
  prometheusName: "blixard_node_memory_allocated_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Memory that VMs were given.",
  attributes: {}
} as const;

/** Memory kept for the node itself. */
export const nodeMemoryReserved = {
  name: "blixard.node.memory.reserved",
  prometheusName: "blixard_node_memory_reserved_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Memory kept for the node itself.",
  attributes: {}
} as const;

/** Disk space that VMs may be given. */
export const nodeDiskLimit = {
  name: "blixard.node.disk.limit",
  prometheusName: "blixard_node_disk_limit_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Disk space that VMs may be given.",
  attributes: {}
} as const;

/** Disk space that VMs were given. */
export const nodeDiskAllocated = {
  name: "blixard.node.disk.allocated",
  prometheusName: "blixard_node_disk_allocated_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Disk space that VMs were given.",
  attributes: {}
} as const;

/** Disk space kept for the node itself. */
export const nodeDiskReserved = {
  name: "blixard.node.disk.reserved",
  prometheusName: "blixard_node_disk_reserved_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Disk space kept for the node itself.",
  attributes: {}
} as const;

/** Share of a resource that VMs were given. */
export const nodeAllocationUtilization = {
  name: "blixard.node.allocation.utilization",
  prometheusName: "blixard_node_allocation_utilization_ratio",
  instrument: "gauge",
  unit: "1",
  valueType: "double",
  brief: "Share of a resource that VMs were given.",
  attributes: {
    "blixard.node.resource": {
      type: "string",
      requirement: "required",
      values: [
        "cpu",
        "memory",
        "disk",
        "io"
      ]
    }
  }
} as const;

/** Largest VM that still fits, as a share of what is free. */
export const nodeFragmentation = {
  name: "blixard.node.fragmentation",
  prometheusName: "blixard_node_fragmentation_ratio",
  instrument: "gauge",
  unit: "1",
  valueType: "double",
  brief: "Largest VM that still fits, as a share of what is free.",
  attributes: {}
} as const;

/** State the node is in. */
export const nodeState = {
  name: "blixard.node.state",
  prometheusName: "blixard_node_state",
  instrument: "stateset",
  unit: "{state}",
  valueType: "int",
  brief: "State the node is in.",
  attributes: {
    "blixard.node.state": {
      type: "string",
      requirement: "required",
      values: [
        "starting",
        "ready",
        "stopping",
        "down"
      ]
    }
  }
} as const;

/** What this node is called, and what it runs. */
export const nodeBuildInfo = {
  name: "blixard.node.build.info",
  prometheusName: "blixard_node_build_info",
  instrument: "info",
  unit: "{build}",
  valueType: "int",
  brief: "What this node is called, and what it runs.",
  attributes: {
    "blixard.node.id": {
      type: "string",
      requirement: "required"
    },
    "service.version": {
      type: "string",
      requirement: "required"
    },
    "process.runtime.version": {
      type: "string",
      requirement: "required"
    },
    "process.runtime.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Whether new VMs may be placed here (1) or not (0). */
export const nodeSchedulable = {
  name: "blixard.node.schedulable",
  prometheusName: "blixard_node_schedulable",
  instrument: "gauge",
  unit: "{state}",
  valueType: "int",
  brief: "Whether new VMs may be placed here (1) or not (0).",
  attributes: {}
} as const;

/** Time since the last confirmed heartbeat was sent. */
export const nodeHeartbeatAge = {
  name: "blixard.node.heartbeat.age",
  prometheusName: "blixard_node_heartbeat_age_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Time since the last confirmed heartbeat was sent.",
  attributes: {}
} as const;

/** Heartbeats that were not confirmed. */
export const nodeHeartbeatMissed = {
  name: "blixard.node.heartbeat.missed",
  prometheusName: "blixard_node_heartbeat_missed_total",
  instrument: "counter",
  unit: "{heartbeat}",
  valueType: "int",
  brief: "Heartbeats that were not confirmed.",
  attributes: {
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** Whether a guest ran under KVM when the node was probed (1) or not (0); absent where KVM is not wanted. */
export const nodeKvmUsable = {
  name: "blixard.node.kvm.usable",
  prometheusName: "blixard_node_kvm_usable",
  instrument: "gauge",
  unit: "{state}",
  valueType: "int",
  brief: "Whether a guest ran under KVM when the node was probed (1) or not (0); absent where KVM is not wanted.",
  attributes: {}
} as const;

/** Share of time lost waiting for a resource. */
export const nodePressure = {
  name: "blixard.node.pressure",
  prometheusName: "blixard_node_pressure_ratio",
  instrument: "gauge",
  unit: "1",
  valueType: "double",
  brief: "Share of time lost waiting for a resource.",
  attributes: {
    "blixard.node.resource": {
      type: "string",
      requirement: "required",
      values: [
        "cpu",
        "memory",
        "disk",
        "io"
      ]
    },
    "blixard.node.pressure_kind": {
      type: "string",
      requirement: "required",
      values: [
        "some",
        "full"
      ]
    },
    "blixard.node.pressure_window": {
      type: "string",
      requirement: "required",
      values: [
        "10s",
        "60s",
        "300s"
      ]
    }
  }
} as const;

/** When a certificate in use expires, in seconds since 1970. */
export const nodeCertificateExpirationTimestamp = {
  name: "blixard.node.certificate.expiration.timestamp",
  prometheusName: "blixard_node_certificate_expiration_timestamp_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "When a certificate in use expires, in seconds since 1970.",
  attributes: {
    "blixard.certificate.role": {
      type: "string",
      requirement: "required",
      values: [
        "metrics_server",
        "metrics_client_ca",
        "otlp_client",
        "otlp_ca",
        "store_client",
        "store_ca"
      ]
    }
  }
} as const;

/** Whether the node's guardian answers (1) or not (0). */
export const nodeGuardianConnected = {
  name: "blixard.node.guardian.connected",
  prometheusName: "blixard_node_guardian_connected",
  instrument: "gauge",
  unit: "{state}",
  valueType: "int",
  brief: "Whether the node's guardian answers (1) or not (0).",
  attributes: {}
} as const;

/** Guardians that ended while the node ran. */
export const nodeGuardianExits = {
  name: "blixard.node.guardian.exits",
  prometheusName: "blixard_node_guardian_exits_total",
  instrument: "counter",
  unit: "{exit}",
  valueType: "int",
  brief: "Guardians that ended while the node ran.",
  attributes: {}
} as const;

/** Other nodes by the state of the connection to them; zeros on a single node. */
export const peerCount = {
  name: "blixard.peer.count",
  prometheusName: "blixard_peer_count",
  instrument: "updowncounter",
  unit: "{peer}",
  valueType: "int",
  brief: "Other nodes by the state of the connection to them; zeros on a single node.",
  attributes: {
    "blixard.peer.state": {
      type: "string",
      requirement: "required",
      values: [
        "connected",
        "connecting",
        "suspect",
        "down"
      ]
    }
  }
} as const;

/** Whether this node's member leads (1) or not (0); absent on nodes without a member. */
export const raftIsLeader = {
  name: "blixard.raft.is_leader",
  prometheusName: "blixard_raft_is_leader",
  instrument: "gauge",
  unit: "{state}",
  valueType: "int",
  brief: "Whether this node's member leads (1) or not (0); absent on nodes without a member.",
  attributes: {}
} as const;

/** Whether this node's member knows a leader (1) or not (0). */
export const raftHasLeader = {
  name: "blixard.raft.has_leader",
  prometheusName: "blixard_raft_has_leader",
  instrument: "gauge",
  unit: "{state}",
  valueType: "int",
  brief: "Whether this node's member knows a leader (1) or not (0).",
  attributes: {}
} as const;

/** Current term of this node's member. */
export const raftTerm = {
  name: "blixard.raft.term",
  prometheusName: "blixard_raft_term",
  instrument: "gauge",
  unit: "{term}",
  valueType: "int",
  brief: "Current term of this node's member.",
  attributes: {}
} as const;

/** Changes of leader that this node's member has seen. */
export const raftLeaderChanges = {
  name: "blixard.raft.leader.changes",
  prometheusName: "blixard_raft_leader_changes_total",
  instrument: "counter",
  unit: "{change}",
  valueType: "int",
  brief: "Changes of leader that this node's member has seen.",
  attributes: {}
} as const;

/** Proposals committed by this node's member; with `error.type`, those that failed. */
export const raftProposals = {
  name: "blixard.raft.proposals",
  prometheusName: "blixard_raft_proposals_total",
  instrument: "counter",
  unit: "{proposal}",
  valueType: "int",
  brief: "Proposals committed by this node's member; with `error.type`, those that failed.",
  attributes: {
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** Proposals that wait to be committed. */
export const raftProposalActive = {
  name: "blixard.raft.proposal.active",
  prometheusName: "blixard_raft_proposal_active",
  instrument: "updowncounter",
  unit: "{proposal}",
  valueType: "int",
  brief: "Proposals that wait to be committed.",
  attributes: {}
} as const;

/** Position in the log of this node's member. */
export const raftLogIndex = {
  name: "blixard.raft.log.index",
  prometheusName: "blixard_raft_log_index",
  instrument: "gauge",
  unit: "{entry}",
  valueType: "int",
  brief: "Position in the log of this node's member.",
  attributes: {
    "blixard.raft.index_type": {
      type: "string",
      requirement: "required",
      values: [
        "committed",
        "applied"
      ]
    }
  }
} as const;

/** Time to make the log durable. */
export const raftWalFsyncDuration = {
  name: "blixard.raft.wal.fsync.duration",
  prometheusName: "blixard_raft_wal_fsync_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time to make the log durable.",
  attributes: {},
  buckets: [
    0.001,
    0.002,
    0.004,
    0.008,
    0.016,
    0.032,
    0.064,
    0.128,
    0.256,
    0.512,
    1.024,
    2.048,
    4.096,
    8.192
  ]
} as const;

/** Time to commit the member's database. */
export const raftBackendCommitDuration = {
  name: "blixard.raft.backend.commit.duration",
  prometheusName: "blixard_raft_backend_commit_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time to commit the member's database.",
  attributes: {},
  buckets: [
    0.001,
    0.002,
    0.004,
    0.008,
    0.016,
    0.032,
    0.064,
    0.128,
    0.256,
    0.512,
    1.024,
    2.048,
    4.096,
    8.192
  ]
} as const;

/** Time to apply an entry to the member's state. */
export const raftApplyDuration = {
  name: "blixard.raft.apply.duration",
  prometheusName: "blixard_raft_apply_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time to apply an entry to the member's state.",
  attributes: {},
  buckets: [
    0.0001,
    0.0002,
    0.0004,
    0.0008,
    0.0016,
    0.0032,
    0.0064,
    0.0128,
    0.0256,
    0.0512,
    0.1024,
    0.2048,
    0.4096,
    0.8192,
    1.6384,
    3.2768,
    6.5536
  ]
} as const;

/** Time to save a snapshot. */
export const raftSnapshotDuration = {
  name: "blixard.raft.snapshot.duration",
  prometheusName: "blixard_raft_snapshot_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time to save a snapshot.",
  attributes: {},
  buckets: [
    0.001,
    0.002,
    0.004,
    0.008,
    0.016,
    0.032,
    0.064,
    0.128,
    0.256,
    0.512,
    1.024,
    2.048,
    4.096,
    8.192
  ]
} as const;

/** Heartbeats that the leader could not send in time. */
export const raftHeartbeatFailures = {
  name: "blixard.raft.heartbeat.failures",
  prometheusName: "blixard_raft_heartbeat_failures_total",
  instrument: "counter",
  unit: "{failure}",
  valueType: "int",
  brief: "Heartbeats that the leader could not send in time.",
  attributes: {}
} as const;

/** Members of the cluster. */
export const raftMemberCount = {
  name: "blixard.raft.member.count",
  prometheusName: "blixard_raft_member_count",
  instrument: "updowncounter",
  unit: "{member}",
  valueType: "int",
  brief: "Members of the cluster.",
  attributes: {
    "blixard.raft.member_role": {
      type: "string",
      requirement: "required",
      values: [
        "voter",
        "learner"
      ]
    },
    "blixard.raft.member_health": {
      type: "string",
      requirement: "required",
      values: [
        "healthy",
        "unhealthy"
      ]
    }
  }
} as const;

/** Healthy voters that may be lost before the cluster loses its quorum. */
export const raftQuorumMargin = {
  name: "blixard.raft.quorum.margin",
  prometheusName: "blixard_raft_quorum_margin",
  instrument: "gauge",
  unit: "{member}",
  valueType: "int",
  brief: "Healthy voters that may be lost before the cluster loses its quorum.",
  attributes: {}
} as const;

/** Size of the member's database. */
export const raftStorageUsage = {
  name: "blixard.raft.storage.usage",
  prometheusName: "blixard_raft_storage_usage_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Size of the member's database.",
  attributes: {
    "blixard.raft.storage_state": {
      type: "string",
      requirement: "required",
      values: [
        "in_use",
        "free"
      ]
    }
  }
} as const;

/** Size at which the member's database refuses writes. */
export const raftStorageLimit = {
  name: "blixard.raft.storage.limit",
  prometheusName: "blixard_raft_storage_limit_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Size at which the member's database refuses writes.",
  attributes: {}
} as const;

/** VMs that wait for a node. */
export const schedulerQueueSize = {
  name: "blixard.scheduler.queue.size",
  prometheusName: "blixard_scheduler_queue_size",
  instrument: "updowncounter",
  unit: "{vm}",
  valueType: "int",
  brief: "VMs that wait for a node.",
  attributes: {}
} as const;

/** Time that the oldest waiting VM has waited. */
export const schedulerQueueAge = {
  name: "blixard.scheduler.queue.age",
  prometheusName: "blixard_scheduler_queue_age_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Time that the oldest waiting VM has waited.",
  attributes: {}
} as const;

/** Time of one pass of a control loop. */
export const schedulerReconcileDuration = {
  name: "blixard.scheduler.reconcile.duration",
  prometheusName: "blixard_scheduler_reconcile_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time of one pass of a control loop.",
  attributes: {
    "blixard.scheduler.reconciler": {
      type: "string",
      requirement: "required"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  },
  buckets: [
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10
  ]
} as const;

/** Whether the store answered the last time it was asked (1) or not (0). */
export const storeReachable = {
  name: "blixard.store.reachable",
  prometheusName: "blixard_store_reachable",
  instrument: "gauge",
  unit: "{state}",
  valueType: "int",
  brief: "Whether the store answered the last time it was asked (1) or not (0).",
  attributes: {}
} as const;

/** Watches that are open. */
export const storeWatchActive = {
  name: "blixard.store.watch.active",
  prometheusName: "blixard_store_watch_active",
  instrument: "updowncounter",
  unit: "{watch}",
  valueType: "int",
  brief: "Watches that are open.",
  attributes: {
    "db.collection.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Watches that were taken up again after a broken connection. */
export const storeWatchResumes = {
  name: "blixard.store.watch.resumes",
  prometheusName: "blixard_store_watch_resumes_total",
  instrument: "counter",
  unit: "{resume}",
  valueType: "int",
  brief: "Watches that were taken up again after a broken connection.",
  attributes: {
    "db.collection.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Changes that watches delivered. */
export const storeWatchEvents = {
  name: "blixard.store.watch.events",
  prometheusName: "blixard_store_watch_events_total",
  instrument: "counter",
  unit: "{event}",
  valueType: "int",
  brief: "Changes that watches delivered.",
  attributes: {
    "db.collection.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Transactions whose conditions did not hold. */
export const storeTransactionConflicts = {
  name: "blixard.store.transaction.conflicts",
  prometheusName: "blixard_store_transaction_conflicts_total",
  instrument: "counter",
  unit: "{transaction}",
  valueType: "int",
  brief: "Transactions whose conditions did not hold.",
  attributes: {
    "db.collection.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Renewals of this node's lease. */
export const storeLeaseRenewals = {
  name: "blixard.store.lease.renewals",
  prometheusName: "blixard_store_lease_renewals_total",
  instrument: "counter",
  unit: "{renewal}",
  valueType: "int",
  brief: "Renewals of this node's lease.",
  attributes: {
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** Restarts of the supervised consensus member. */
export const storeMemberRestarts = {
  name: "blixard.store.member.restarts",
  prometheusName: "blixard_store_member_restarts_total",
  instrument: "counter",
  unit: "{restart}",
  valueType: "int",
  brief: "Restarts of the supervised consensus member.",
  attributes: {}
} as const;

/** Members of callers' baggage that did not travel on. */
export const telemetryBaggageDropped = {
  name: "blixard.telemetry.baggage.dropped",
  prometheusName: "blixard_telemetry_baggage_dropped_total",
  instrument: "counter",
  unit: "{member}",
  valueType: "int",
  brief: "Members of callers' baggage that did not travel on.",
  attributes: {
    "blixard.telemetry.baggage_drop_reason": {
      type: "string",
      requirement: "required",
      values: [
        "untrusted",
        "malformed",
        "not_allowed",
        "limit"
      ]
    }
  }
} as const;

/** Attributes of log records that were left out because the registry does not know them or there were too many. */
export const telemetryLogAttributesDropped = {
  name: "blixard.telemetry.log.attributes.dropped",
  prometheusName: "blixard_telemetry_log_attributes_dropped_total",
  instrument: "counter",
  unit: "{attribute}",
  valueType: "int",
  brief: "Attributes of log records that were left out because the registry does not know them or there were too many.",
  attributes: {}
} as const;

/** Log records that were left out because the same message came too often. */
export const telemetryLogSuppressed = {
  name: "blixard.telemetry.log.suppressed",
  prometheusName: "blixard_telemetry_log_suppressed_total",
  instrument: "counter",
  unit: "{record}",
  valueType: "int",
  brief: "Log records that were left out because the same message came too often.",
  attributes: {}
} as const;

/** Bytes on disk that wait for a destination to come back. */
export const telemetrySpoolUsage = {
  name: "blixard.telemetry.spool.usage",
  prometheusName: "blixard_telemetry_spool_usage_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Bytes on disk that wait for a destination to come back.",
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
    }
  }
} as const;

/** Most bytes on disk that may wait for a destination. */
export const telemetrySpoolLimit = {
  name: "blixard.telemetry.spool.limit",
  prometheusName: "blixard_telemetry_spool_limit_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Most bytes on disk that may wait for a destination.",
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
    }
  }
} as const;

/** Spans, metric points or log records on disk that wait for a destination to come back. */
export const telemetrySpoolItemCount = {
  name: "blixard.telemetry.spool.item.count",
  prometheusName: "blixard_telemetry_spool_item_count",
  instrument: "updowncounter",
  unit: "{item}",
  valueType: "int",
  brief: "Spans, metric points or log records on disk that wait for a destination to come back.",
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
    }
  }
} as const;

/** Items from disk that a destination took after it was back. */
export const telemetrySpoolReplayed = {
  name: "blixard.telemetry.spool.replayed",
  prometheusName: "blixard_telemetry_spool_replayed_total",
  instrument: "counter",
  unit: "{item}",
  valueType: "int",
  brief: "Items from disk that a destination took after it was back.",
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
    }
  }
} as const;

/** Items on disk that were lost. They count as failed exports too. */
export const telemetrySpoolDropped = {
  name: "blixard.telemetry.spool.dropped",
  prometheusName: "blixard_telemetry_spool_dropped_total",
  instrument: "counter",
  unit: "{item}",
  valueType: "int",
  brief: "Items on disk that were lost. They count as failed exports too.",
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
    "error.type": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** A diagnosis sends this to see whether metrics arrive; 1 while it runs, and ended after it. */
export const telemetryCanary = {
  name: "blixard.telemetry.canary",
  prometheusName: "blixard_telemetry_canary",
  instrument: "gauge",
  unit: "{canary}",
  valueType: "int",
  brief: "A diagnosis sends this to see whether metrics arrive; 1 while it runs, and ended after it.",
  attributes: {
    "blixard.telemetry.canary_id": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Time from a scrape's request to the end of its page. */
export const telemetryScrapeDuration = {
  name: "blixard.telemetry.scrape.duration",
  prometheusName: "blixard_telemetry_scrape_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time from a scrape's request to the end of its page.",
  attributes: {
    "blixard.telemetry.format": {
      type: "string",
      requirement: "required",
      values: [
        "openmetrics",
        "prometheus_text",
        "prometheus_protobuf"
      ]
    }
  },
  buckets: [
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30
  ]
} as const;

/** Bytes of a page before compression. */
export const telemetryScrapeSize = {
  name: "blixard.telemetry.scrape.size",
  prometheusName: "blixard_telemetry_scrape_size_bytes",
  instrument: "histogram",
  unit: "By",
  valueType: "int",
  brief: "Bytes of a page before compression.",
  attributes: {
    "blixard.telemetry.format": {
      type: "string",
      requirement: "required",
      values: [
        "openmetrics",
        "prometheus_text",
        "prometheus_protobuf"
      ]
    }
  },
  buckets: [
    4096,
    16384,
    65536,
    262144,
    1048576,
    4194304,
    16777216,
    67108864
  ]
} as const;

/** Scrapes refused or cut off. */
export const telemetryScrapeRejected = {
  name: "blixard.telemetry.scrape.rejected",
  prometheusName: "blixard_telemetry_scrape_rejected_total",
  instrument: "counter",
  unit: "{scrape}",
  valueType: "int",
  brief: "Scrapes refused or cut off.",
  attributes: {
    "blixard.telemetry.rejection_reason": {
      type: "string",
      requirement: "required",
      values: [
        "busy",
        "timeout",
        "aborted",
        "stalled",
        "auth"
      ]
    }
  }
} as const;

/** Live series of each metric. */
export const telemetrySeriesCount = {
  name: "blixard.telemetry.series.count",
  prometheusName: "blixard_telemetry_series_count",
  instrument: "updowncounter",
  unit: "{series}",
  valueType: "int",
  brief: "Live series of each metric.",
  attributes: {
    "blixard.telemetry.metric": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Most series a metric may have before further ones are merged into one. */
export const telemetrySeriesLimit = {
  name: "blixard.telemetry.series.limit",
  prometheusName: "blixard_telemetry_series_limit",
  instrument: "updowncounter",
  unit: "{series}",
  valueType: "int",
  brief: "Most series a metric may have before further ones are merged into one.",
  attributes: {
    "blixard.telemetry.metric": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Times that one more series was refused, and merged with others, because a metric had reached its limit. */
export const telemetrySeriesOverflows = {
  name: "blixard.telemetry.series.overflows",
  prometheusName: "blixard_telemetry_series_overflows_total",
  instrument: "counter",
  unit: "{refusal}",
  valueType: "int",
  brief: "Times that one more series was refused, and merged with others, because a metric had reached its limit.",
  attributes: {
    "blixard.telemetry.metric": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Ends of series that a destination could not be told of, because it did not export for too long. */
export const telemetryTombstonesDropped = {
  name: "blixard.telemetry.tombstones.dropped",
  prometheusName: "blixard_telemetry_tombstones_dropped_total",
  instrument: "counter",
  unit: "{series}",
  valueType: "int",
  brief: "Ends of series that a destination could not be told of, because it did not export for too long.",
  attributes: {}
} as const;

/** Measurements that could not be taken. */
export const telemetryMeasurementsDropped = {
  name: "blixard.telemetry.measurements.dropped",
  prometheusName: "blixard_telemetry_measurements_dropped_total",
  instrument: "counter",
  unit: "{measurement}",
  valueType: "int",
  brief: "Measurements that could not be taken.",
  attributes: {
    "blixard.telemetry.drop_reason": {
      type: "string",
      requirement: "required",
      values: [
        "negative",
        "not_finite",
        "type"
      ]
    }
  }
} as const;

/** Measurements that were kept with the span they were made in. */
export const telemetryExemplars = {
  name: "blixard.telemetry.exemplars",
  prometheusName: "blixard_telemetry_exemplars_total",
  instrument: "counter",
  unit: "{exemplar}",
  valueType: "int",
  brief: "Measurements that were kept with the span they were made in.",
  attributes: {}
} as const;

/** Time to collect a group of metrics. */
export const telemetryCollectionDuration = {
  name: "blixard.telemetry.collection.duration",
  prometheusName: "blixard_telemetry_collection_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time to collect a group of metrics.",
  attributes: {
    "blixard.telemetry.group": {
      type: "string",
      requirement: "required"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  },
  buckets: [
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10
  ]
} as const;

/** Time since a group of metrics was last collected, or since it exists. */
export const telemetryCollectionAge = {
  name: "blixard.telemetry.collection.age",
  prometheusName: "blixard_telemetry_collection_age_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Time since a group of metrics was last collected, or since it exists.",
  attributes: {
    "blixard.telemetry.group": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** 1 for the state a destination is in for a signal, 0 for the others. */
export const telemetryDestinationState = {
  name: "blixard.telemetry.destination.state",
  prometheusName: "blixard_telemetry_destination_state",
  instrument: "gauge",
  unit: "{state}",
  valueType: "int",
  brief: "1 for the state a destination is in for a signal, 0 for the others.",
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
    }
  }
} as const;

/** Finished spans kept on this node. */
export const telemetryRecorderSpanCount = {
  name: "blixard.telemetry.recorder.span.count",
  prometheusName: "blixard_telemetry_recorder_span_count",
  instrument: "updowncounter",
  unit: "{span}",
  valueType: "int",
  brief: "Finished spans kept on this node.",
  attributes: {}
} as const;

/** Most finished spans kept on this node. */
export const telemetryRecorderSpanLimit = {
  name: "blixard.telemetry.recorder.span.limit",
  prometheusName: "blixard_telemetry_recorder_span_limit",
  instrument: "updowncounter",
  unit: "{span}",
  valueType: "int",
  brief: "Most finished spans kept on this node.",
  attributes: {}
} as const;

/** Finished spans that made room for newer ones. */
export const telemetryRecorderSpanDropped = {
  name: "blixard.telemetry.recorder.span.dropped",
  prometheusName: "blixard_telemetry_recorder_span_dropped_total",
  instrument: "counter",
  unit: "{span}",
  valueType: "int",
  brief: "Finished spans that made room for newer ones.",
  attributes: {}
} as const;

/** VMs on this node by state, and those without a node. */
export const vmCount = {
  name: "blixard.vm.count",
  prometheusName: "blixard_vm_count",
  instrument: "updowncounter",
  unit: "{vm}",
  valueType: "int",
  brief: "VMs on this node by state, and those without a node.",
  attributes: {
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
    }
  }
} as const;

/** Time from the request for an operation to its outcome. */
export const vmOperationDuration = {
  name: "blixard.vm.operation.duration",
  prometheusName: "blixard_vm_operation_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time from the request for an operation to its outcome.",
  attributes: {
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
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  },
  buckets: [
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    120
  ]
} as const;

/** Operations under way. */
export const vmOperationActive = {
  name: "blixard.vm.operation.active",
  prometheusName: "blixard_vm_operation_active",
  instrument: "updowncounter",
  unit: "{operation}",
  valueType: "int",
  brief: "Operations under way.",
  attributes: {
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
    }
  }
} as const;

/** Time of each part of bringing a VM up. */
export const vmPhaseDuration = {
  name: "blixard.vm.phase.duration",
  prometheusName: "blixard_vm_phase_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time of each part of bringing a VM up.",
  attributes: {
    "blixard.vm.phase": {
      type: "string",
      requirement: "required",
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
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  },
  buckets: [
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60
  ]
} as const;

/** Changes of state. */
export const vmStateTransitions = {
  name: "blixard.vm.state.transitions",
  prometheusName: "blixard_vm_state_transitions_total",
  instrument: "counter",
  unit: "{transition}",
  valueType: "int",
  brief: "Changes of state.",
  attributes: {
    "blixard.vm.previous_state": {
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
    }
  }
} as const;

/** Time from the stored intent to the assignment to a node. */
export const vmPlacementDuration = {
  name: "blixard.vm.placement.duration",
  prometheusName: "blixard_vm_placement_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time from the stored intent to the assignment to a node.",
  attributes: {},
  buckets: [
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    60,
    300
  ]
} as const;

/** Attempts to place a VM; `error.type` says why one was refused. */
export const vmPlacementAttempts = {
  name: "blixard.vm.placement.attempts",
  prometheusName: "blixard_vm_placement_attempts_total",
  instrument: "counter",
  unit: "{attempt}",
  valueType: "int",
  brief: "Attempts to place a VM; `error.type` says why one was refused.",
  attributes: {
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** Time from the end of a guest that should run until it runs again. */
export const vmRecoveryDuration = {
  name: "blixard.vm.recovery.duration",
  prometheusName: "blixard_vm_recovery_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Time from the end of a guest that should run until it runs again.",
  attributes: {
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
    }
  },
  buckets: [
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    20,
    30,
    60,
    120,
    300
  ]
} as const;

/** Time for which VMs that should run did not, summed over VMs. */
export const vmDowntime = {
  name: "blixard.vm.downtime",
  prometheusName: "blixard_vm_downtime_seconds_total",
  instrument: "counter",
  unit: "s",
  valueType: "double",
  brief: "Time for which VMs that should run did not, summed over VMs.",
  attributes: {
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
    }
  }
} as const;

/** Restarts that the node did by itself. */
export const vmRestarts = {
  name: "blixard.vm.restarts",
  prometheusName: "blixard_vm_restarts_total",
  instrument: "counter",
  unit: "{restart}",
  valueType: "int",
  brief: "Restarts that the node did by itself.",
  attributes: {
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
    }
  }
} as const;

/** Guests whose kernel panicked. */
export const vmPanics = {
  name: "blixard.vm.panics",
  prometheusName: "blixard_vm_panics_total",
  instrument: "counter",
  unit: "{panic}",
  valueType: "int",
  brief: "Guests whose kernel panicked.",
  attributes: {}
} as const;

/** Time since the guest that runs now was started. */
export const vmUptime = {
  name: "blixard.vm.uptime",
  prometheusName: "blixard_vm_uptime_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Time since the guest that runs now was started.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "required"
    }
  },
  seriesLimit: 50000
} as const;

/** Whether the VM is down although it should run (1), its state being `failed`, or not (0). */
export const vmFailed = {
  name: "blixard.vm.failed",
  prometheusName: "blixard_vm_failed",
  instrument: "gauge",
  unit: "{state}",
  valueType: "int",
  brief: "Whether the VM is down although it should run (1), its state being `failed`, or not (0).",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "required"
    }
  },
  seriesLimit: 50000
} as const;

/** Times that the VM was started again after its guest had ended; counted on by a node that restarts. */
export const vmRecoveries = {
  name: "blixard.vm.recoveries",
  prometheusName: "blixard_vm_recoveries_total",
  instrument: "counter",
  unit: "{restart}",
  valueType: "int",
  brief: "Times that the VM was started again after its guest had ended; counted on by a node that restarts.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "required"
    }
  },
  seriesLimit: 50000
} as const;

/** CPU time of the VM's hypervisor. */
export const vmCpuTime = {
  name: "blixard.vm.cpu.time",
  prometheusName: "blixard_vm_cpu_time_seconds_total",
  instrument: "counter",
  unit: "s",
  valueType: "double",
  brief: "CPU time of the VM's hypervisor.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "required"
    },
    "cpu.mode": {
      type: "string",
      requirement: "required",
      values: [
        "user",
        "system",
        "nice",
        "idle",
        "iowait",
        "interrupt",
        "steal"
      ]
    }
  },
  seriesLimit: 50000
} as const;

/** Virtual CPUs the VM may use. */
export const vmVcpuLimit = {
  name: "blixard.vm.vcpu.limit",
  prometheusName: "blixard_vm_vcpu_limit",
  instrument: "updowncounter",
  unit: "{vcpu}",
  valueType: "int",
  brief: "Virtual CPUs the VM may use.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "required"
    }
  },
  seriesLimit: 50000
} as const;

/** Memory the guest was given. */
export const vmMemoryLimit = {
  name: "blixard.vm.memory.limit",
  prometheusName: "blixard_vm_memory_limit_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Memory the guest was given.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "required"
    }
  },
  seriesLimit: 50000
} as const;

/** Memory in use, by whose account; the guest's only if it has an agent. */
export const vmMemoryUsage = {
  name: "blixard.vm.memory.usage",
  prometheusName: "blixard_vm_memory_usage_bytes",
  instrument: "gauge",
  unit: "By",
  valueType: "int",
  brief: "Memory in use, by whose account; the guest's only if it has an agent.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.memory_state": {
      type: "string",
      requirement: "required",
      values: [
        "resident",
        "guest_used",
        "guest_available"
      ]
    }
  },
  seriesLimit: 50000
} as const;

/** Bytes the guest read from and wrote to its disks. */
export const vmDiskIo = {
  name: "blixard.vm.disk.io",
  prometheusName: "blixard_vm_disk_io_bytes_total",
  instrument: "counter",
  unit: "By",
  valueType: "int",
  brief: "Bytes the guest read from and wrote to its disks.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.disk_name": {
      type: "string",
      requirement: "required"
    },
    "disk.io.direction": {
      type: "string",
      requirement: "required",
      values: [
        "read",
        "write"
      ]
    }
  },
  seriesLimit: 50000
} as const;

/** Reads and writes of the guest on its disks. */
export const vmDiskOperations = {
  name: "blixard.vm.disk.operations",
  prometheusName: "blixard_vm_disk_operations_total",
  instrument: "counter",
  unit: "{operation}",
  valueType: "int",
  brief: "Reads and writes of the guest on its disks.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.disk_name": {
      type: "string",
      requirement: "required"
    },
    "disk.io.direction": {
      type: "string",
      requirement: "required",
      values: [
        "read",
        "write"
      ]
    }
  },
  seriesLimit: 50000
} as const;

/** Time since the VM last answered for its usage; a hung VM's grows, its last values stay. */
export const vmUsageAge = {
  name: "blixard.vm.usage.age",
  prometheusName: "blixard_vm_usage_age_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Time since the VM last answered for its usage; a hung VM's grows, its last values stay.",
  attributes: {
    "blixard.vm.id": {
      type: "string",
      requirement: "required"
    },
    "blixard.vm.name": {
      type: "string",
      requirement: "required"
    }
  },
  seriesLimit: 50000
} as const;

/** Duration of database client operations. */
export const dbClientOperationDuration = {
  name: "db.client.operation.duration",
  prometheusName: "db_client_operation_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Duration of database client operations.",
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
    "server.address": {
      type: "string",
      requirement: "recommended"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  },
  buckets: [
    0.001,
    0.005,
    0.01,
    0.05,
    0.1,
    0.5,
    1,
    5,
    10
  ]
} as const;

/** Duration of HTTP server requests. */
export const httpServerRequestDuration = {
  name: "http.server.request.duration",
  prometheusName: "http_server_request_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Duration of HTTP server requests.",
  attributes: {
    "http.request.method": {
      type: "string",
      requirement: "required",
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
    "url.scheme": {
      type: "string",
      requirement: "required"
    },
    "http.route": {
      type: "string",
      requirement: "recommended"
    },
    "http.response.status_code": {
      type: "int",
      requirement: "recommended"
    },
    "network.protocol.version": {
      type: "string",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  },
  buckets: [
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10
  ]
} as const;

/** Event loop minimum delay. */
export const nodejsEventloopDelayMin = {
  name: "nodejs.eventloop.delay.min",
  prometheusName: "nodejs_eventloop_delay_min_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Event loop minimum delay.",
  attributes: {}
} as const;

/** Event loop maximum delay. */
export const nodejsEventloopDelayMax = {
  name: "nodejs.eventloop.delay.max",
  prometheusName: "nodejs_eventloop_delay_max_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Event loop maximum delay.",
  attributes: {}
} as const;

/** Event loop mean delay. */
export const nodejsEventloopDelayMean = {
  name: "nodejs.eventloop.delay.mean",
  prometheusName: "nodejs_eventloop_delay_mean_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Event loop mean delay.",
  attributes: {}
} as const;

/** Event loop standard deviation delay. */
export const nodejsEventloopDelayStddev = {
  name: "nodejs.eventloop.delay.stddev",
  prometheusName: "nodejs_eventloop_delay_stddev_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Event loop standard deviation delay.",
  attributes: {}
} as const;

/** Event loop 50 percentile delay. */
export const nodejsEventloopDelayP50 = {
  name: "nodejs.eventloop.delay.p50",
  prometheusName: "nodejs_eventloop_delay_p50_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Event loop 50 percentile delay.",
  attributes: {}
} as const;

/** Event loop 90 percentile delay. */
export const nodejsEventloopDelayP90 = {
  name: "nodejs.eventloop.delay.p90",
  prometheusName: "nodejs_eventloop_delay_p90_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Event loop 90 percentile delay.",
  attributes: {}
} as const;

/** Event loop 99 percentile delay. */
export const nodejsEventloopDelayP99 = {
  name: "nodejs.eventloop.delay.p99",
  prometheusName: "nodejs_eventloop_delay_p99_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "Event loop 99 percentile delay.",
  attributes: {}
} as const;

/** Event loop utilization. */
export const nodejsEventloopUtilization = {
  name: "nodejs.eventloop.utilization",
  prometheusName: "nodejs_eventloop_utilization_ratio",
  instrument: "gauge",
  unit: "1",
  valueType: "double",
  brief: "Event loop utilization.",
  attributes: {}
} as const;

/** Cumulative duration of time the event loop has been in each state. */
export const nodejsEventloopTime = {
  name: "nodejs.eventloop.time",
  prometheusName: "nodejs_eventloop_time_seconds_total",
  instrument: "counter",
  unit: "s",
  valueType: "double",
  brief: "Cumulative duration of time the event loop has been in each state.",
  attributes: {
    "nodejs.eventloop.state": {
      type: "string",
      requirement: "required",
      values: [
        "active",
        "idle"
      ]
    }
  }
} as const;

/** Garbage collection duration. */
export const v8jsGcDuration = {
  name: "v8js.gc.duration",
  prometheusName: "v8js_gc_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Garbage collection duration.",
  attributes: {
    "v8js.gc.type": {
      type: "string",
      requirement: "required",
      values: [
        "major",
        "minor",
        "incremental",
        "weakcb"
      ]
    }
  },
  buckets: [
    0.01,
    0.1,
    1,
    10
  ]
} as const;

/** Heap Memory size allocated. */
export const v8jsMemoryHeapUsed = {
  name: "v8js.memory.heap.used",
  prometheusName: "v8js_memory_heap_used_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Heap Memory size allocated.",
  attributes: {
    "v8js.heap.space.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Total heap memory size pre-allocated for a heap space. */
export const v8jsMemoryHeapSpaceSize = {
  name: "v8js.memory.heap.space.size",
  prometheusName: "v8js_memory_heap_space_size_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Total heap memory size pre-allocated for a heap space.",
  attributes: {
    "v8js.heap.space.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Heap space available size. */
export const v8jsMemoryHeapSpaceAvailableSize = {
  name: "v8js.memory.heap.space.available_size",
  prometheusName: "v8js_memory_heap_space_available_size_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Heap space available size.",
  attributes: {
    "v8js.heap.space.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Committed size of a heap space. */
export const v8jsMemoryHeapSpacePhysicalSize = {
  name: "v8js.memory.heap.space.physical_size",
  prometheusName: "v8js_memory_heap_space_physical_size_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Committed size of a heap space.",
  attributes: {
    "v8js.heap.space.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** The number of created spans. */
export const otelSdkSpanStarted = {
  name: "otel.sdk.span.started",
  prometheusName: "otel_sdk_span_started_total",
  instrument: "counter",
  unit: "{span}",
  valueType: "int",
  brief: "The number of created spans.",
  attributes: {
    "otel.span.sampling_result": {
      type: "string",
      requirement: "required",
      values: [
        "DROP",
        "RECORD_ONLY",
        "RECORD_AND_SAMPLE"
      ]
    },
    "otel.span.parent.origin": {
      type: "string",
      requirement: "required",
      values: [
        "none",
        "local",
        "remote"
      ]
    }
  }
} as const;

/** The number of created spans with `recording=true` for which the end operation has not been called yet. */
export const otelSdkSpanLive = {
  name: "otel.sdk.span.live",
  prometheusName: "otel_sdk_span_live",
  instrument: "updowncounter",
  unit: "{span}",
  valueType: "int",
  brief: "The number of created spans with `recording=true` for which the end operation has not been called yet.",
  attributes: {
    "otel.span.sampling_result": {
      type: "string",
      requirement: "required",
      values: [
        "DROP",
        "RECORD_ONLY",
        "RECORD_AND_SAMPLE"
      ]
    }
  }
} as const;

/** The number of spans for which the processing has finished, either successful or failed. */
export const otelSdkProcessorSpanProcessed = {
  name: "otel.sdk.processor.span.processed",
  prometheusName: "otel_sdk_processor_span_processed_total",
  instrument: "counter",
  unit: "{span}",
  valueType: "int",
  brief: "The number of spans for which the processing has finished, either successful or failed.",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The number of spans in the queue of a given instance of an SDK span processor. */
export const otelSdkProcessorSpanQueueSize = {
  name: "otel.sdk.processor.span.queue.size",
  prometheusName: "otel_sdk_processor_span_queue_size",
  instrument: "updowncounter",
  unit: "{span}",
  valueType: "int",
  brief: "The number of spans in the queue of a given instance of an SDK span processor.",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** The maximum number of spans the queue of a given instance of an SDK span processor can hold. */
export const otelSdkProcessorSpanQueueCapacity = {
  name: "otel.sdk.processor.span.queue.capacity",
  prometheusName: "otel_sdk_processor_span_queue_capacity",
  instrument: "updowncounter",
  unit: "{span}",
  valueType: "int",
  brief: "The maximum number of spans the queue of a given instance of an SDK span processor can hold.",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** The number of spans which were passed to the exporter, but that have not been exported yet (neither successful, nor failed). */
export const otelSdkExporterSpanInflight = {
  name: "otel.sdk.exporter.span.inflight",
  prometheusName: "otel_sdk_exporter_span_inflight",
  instrument: "updowncounter",
  unit: "{span}",
  valueType: "int",
  brief: "The number of spans which were passed to the exporter, but that have not been exported yet (neither successful, nor failed).",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    },
    "server.address": {
      type: "string",
      requirement: "recommended"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    }
  }
} as const;

/** The number of spans for which the export has finished, either successful or failed. */
export const otelSdkExporterSpanExported = {
  name: "otel.sdk.exporter.span.exported",
  prometheusName: "otel_sdk_exporter_span_exported_total",
  instrument: "counter",
  unit: "{span}",
  valueType: "int",
  brief: "The number of spans for which the export has finished, either successful or failed.",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    },
    "server.address": {
      type: "string",
      requirement: "recommended"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The number of metric data points which were passed to the exporter, but that have not been exported yet (neither successful, nor failed). */
export const otelSdkExporterMetricDataPointInflight = {
  name: "otel.sdk.exporter.metric_data_point.inflight",
  prometheusName: "otel_sdk_exporter_metric_data_point_inflight",
  instrument: "updowncounter",
  unit: "{data_point}",
  valueType: "int",
  brief: "The number of metric data points which were passed to the exporter, but that have not been exported yet (neither successful, nor failed).",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    },
    "server.address": {
      type: "string",
      requirement: "recommended"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    }
  }
} as const;

/** The number of metric data points for which the export has finished, either successful or failed. */
export const otelSdkExporterMetricDataPointExported = {
  name: "otel.sdk.exporter.metric_data_point.exported",
  prometheusName: "otel_sdk_exporter_metric_data_point_exported_total",
  instrument: "counter",
  unit: "{data_point}",
  valueType: "int",
  brief: "The number of metric data points for which the export has finished, either successful or failed.",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    },
    "server.address": {
      type: "string",
      requirement: "recommended"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The duration of exporting a batch of telemetry records. */
export const otelSdkExporterOperationDuration = {
  name: "otel.sdk.exporter.operation.duration",
  prometheusName: "otel_sdk_exporter_operation_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "The duration of exporting a batch of telemetry records.",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    },
    "server.address": {
      type: "string",
      requirement: "recommended"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    },
    "http.response.status_code": {
      type: "int",
      requirement: "recommended"
    },
    "rpc.status_code": {
      type: "string",
      requirement: "recommended"
    }
  },
  buckets: [
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10
  ]
} as const;

/** The duration of the collect operation of the metric reader. */
export const otelSdkMetricReaderCollectionDuration = {
  name: "otel.sdk.metric_reader.collection.duration",
  prometheusName: "otel_sdk_metric_reader_collection_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "The duration of the collect operation of the metric reader.",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  },
  buckets: [
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10
  ]
} as const;

/** The number of log records submitted to an enabled `Logger`. */
export const otelSdkLogCreated = {
  name: "otel.sdk.log.created",
  prometheusName: "otel_sdk_log_created_total",
  instrument: "counter",
  unit: "{log_record}",
  valueType: "int",
  brief: "The number of log records submitted to an enabled `Logger`.",
  attributes: {}
} as const;

/** The number of log records for which the processing has finished, either successful or failed. */
export const otelSdkProcessorLogProcessed = {
  name: "otel.sdk.processor.log.processed",
  prometheusName: "otel_sdk_processor_log_processed_total",
  instrument: "counter",
  unit: "{log_record}",
  valueType: "int",
  brief: "The number of log records for which the processing has finished, either successful or failed.",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** The number of log records in the queue of a given instance of an SDK log processor. */
export const otelSdkProcessorLogQueueSize = {
  name: "otel.sdk.processor.log.queue.size",
  prometheusName: "otel_sdk_processor_log_queue_size",
  instrument: "updowncounter",
  unit: "{log_record}",
  valueType: "int",
  brief: "The number of log records in the queue of a given instance of an SDK log processor.",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** The maximum number of log records the queue of a given instance of an SDK Log Record processor can hold. */
export const otelSdkProcessorLogQueueCapacity = {
  name: "otel.sdk.processor.log.queue.capacity",
  prometheusName: "otel_sdk_processor_log_queue_capacity",
  instrument: "updowncounter",
  unit: "{log_record}",
  valueType: "int",
  brief: "The maximum number of log records the queue of a given instance of an SDK Log Record processor can hold.",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** The number of log records which were passed to the exporter, but that have not been exported yet (neither successful, nor failed). */
export const otelSdkExporterLogInflight = {
  name: "otel.sdk.exporter.log.inflight",
  prometheusName: "otel_sdk_exporter_log_inflight",
  instrument: "updowncounter",
  unit: "{log_record}",
  valueType: "int",
  brief: "The number of log records which were passed to the exporter, but that have not been exported yet (neither successful, nor failed).",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    },
    "server.address": {
      type: "string",
      requirement: "recommended"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    }
  }
} as const;

/** The number of log records for which the export has finished, either successful or failed. */
export const otelSdkExporterLogExported = {
  name: "otel.sdk.exporter.log.exported",
  prometheusName: "otel_sdk_exporter_log_exported_total",
  instrument: "counter",
  unit: "{log_record}",
  valueType: "int",
  brief: "The number of log records for which the export has finished, either successful or failed.",
  attributes: {
    "otel.component.type": {
      type: "string",
      requirement: "required"
    },
    "otel.component.name": {
      type: "string",
      requirement: "required"
    },
    "server.address": {
      type: "string",
      requirement: "recommended"
    },
    "server.port": {
      type: "int",
      requirement: "recommended"
    },
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    }
  }
} as const;

/** Total CPU seconds broken down by different CPU modes. */
export const processCpuTime = {
  name: "process.cpu.time",
  prometheusName: "process_cpu_time_seconds_total",
  instrument: "counter",
  unit: "s",
  valueType: "double",
  brief: "Total CPU seconds broken down by different CPU modes.",
  attributes: {
    "cpu.mode": {
      type: "string",
      requirement: "required",
      values: [
        "user",
        "system",
        "nice",
        "idle",
        "iowait",
        "interrupt",
        "steal"
      ]
    }
  }
} as const;

/** Share of the available processors' time that the process used since the last measurement. */
export const processCpuUtilization = {
  name: "process.cpu.utilization",
  prometheusName: "process_cpu_utilization_ratio",
  instrument: "gauge",
  unit: "1",
  valueType: "double",
  brief: "Share of the available processors' time that the process used since the last measurement.",
  attributes: {
    "cpu.mode": {
      type: "string",
      requirement: "required",
      values: [
        "user",
        "system",
        "nice",
        "idle",
        "iowait",
        "interrupt",
        "steal"
      ]
    }
  }
} as const;

/** The amount of physical memory in use. */
export const processMemoryUsage = {
  name: "process.memory.usage",
  prometheusName: "process_memory_usage_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "The amount of physical memory in use.",
  attributes: {}
} as const;

/** The amount of committed virtual memory. */
export const processMemoryVirtual = {
  name: "process.memory.virtual",
  prometheusName: "process_memory_virtual_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "The amount of committed virtual memory.",
  attributes: {}
} as const;

/** Disk bytes transferred. */
export const processDiskIo = {
  name: "process.disk.io",
  prometheusName: "process_disk_io_bytes_total",
  instrument: "counter",
  unit: "By",
  valueType: "int",
  brief: "Disk bytes transferred.",
  attributes: {
    "disk.io.direction": {
      type: "string",
      requirement: "required",
      values: [
        "read",
        "write"
      ]
    }
  }
} as const;

/** Process threads count. */
export const processThreadCount = {
  name: "process.thread.count",
  prometheusName: "process_thread_count",
  instrument: "updowncounter",
  unit: "{thread}",
  valueType: "int",
  brief: "Process threads count.",
  attributes: {}
} as const;

/** Number of UNIX file descriptors in use by the process. */
export const processUnixFileDescriptorCount = {
  name: "process.unix.file_descriptor.count",
  prometheusName: "process_unix_file_descriptor_count",
  instrument: "updowncounter",
  unit: "{file_descriptor}",
  valueType: "int",
  brief: "Number of UNIX file descriptors in use by the process.",
  attributes: {}
} as const;

/** Number of times the process has been context switched. */
export const processContextSwitches = {
  name: "process.context_switches",
  prometheusName: "process_context_switches_total",
  instrument: "counter",
  unit: "{context_switch}",
  valueType: "int",
  brief: "Number of times the process has been context switched.",
  attributes: {
    "process.context_switch.type": {
      type: "string",
      requirement: "required",
      values: [
        "voluntary",
        "involuntary"
      ]
    }
  }
} as const;

/** Number of page faults the process has made. */
export const processPagingFaults = {
  name: "process.paging.faults",
  prometheusName: "process_paging_faults_total",
  instrument: "counter",
  unit: "{fault}",
  valueType: "int",
  brief: "Number of page faults the process has made.",
  attributes: {
    "system.paging.fault.type": {
      type: "string",
      requirement: "required",
      values: [
        "major",
        "minor"
      ]
    }
  }
} as const;

/** The time the process has been running. */
export const processUptime = {
  name: "process.uptime",
  prometheusName: "process_uptime_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "The time the process has been running.",
  attributes: {}
} as const;

/** Measures the duration of an incoming Remote Procedure Call (RPC). */
export const rpcServerCallDuration = {
  name: "rpc.server.call.duration",
  prometheusName: "rpc_server_call_duration_seconds",
  instrument: "histogram",
  unit: "s",
  valueType: "double",
  brief: "Measures the duration of an incoming Remote Procedure Call (RPC).",
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
    "error.type": {
      type: "string",
      requirement: "conditionally_required"
    },
    "server.address": {
      type: "string",
      requirement: "opt_in"
    },
    "server.port": {
      type: "int",
      requirement: "opt_in"
    }
  },
  buckets: [
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10
  ]
} as const;

/** The time the system has been running. */
export const systemUptime = {
  name: "system.uptime",
  prometheusName: "system_uptime_seconds",
  instrument: "gauge",
  unit: "s",
  valueType: "double",
  brief: "The time the system has been running.",
  attributes: {}
} as const;

/** Reports the number of logical (virtual) processor cores created by the operating system to manage multitasking. */
export const systemCpuLogicalCount = {
  name: "system.cpu.logical.count",
  prometheusName: "system_cpu_logical_count",
  instrument: "updowncounter",
  unit: "{cpu}",
  valueType: "int",
  brief: "Reports the number of logical (virtual) processor cores created by the operating system to manage multitasking.",
  attributes: {}
} as const;

/** Seconds the logical CPUs spent on each mode. */
export const systemCpuTime = {
  name: "system.cpu.time",
  prometheusName: "system_cpu_time_seconds_total",
  instrument: "counter",
  unit: "s",
  valueType: "double",
  brief: "Seconds the logical CPUs spent on each mode.",
  attributes: {
    "cpu.mode": {
      type: "string",
      requirement: "required",
      values: [
        "user",
        "system",
        "nice",
        "idle",
        "iowait",
        "interrupt",
        "steal"
      ]
    }
  }
} as const;

/** Share of the logical CPUs' time spent on each mode since the last measurement. */
export const systemCpuUtilization = {
  name: "system.cpu.utilization",
  prometheusName: "system_cpu_utilization_ratio",
  instrument: "gauge",
  unit: "1",
  valueType: "double",
  brief: "Share of the logical CPUs' time spent on each mode since the last measurement.",
  attributes: {
    "cpu.mode": {
      type: "string",
      requirement: "required",
      values: [
        "user",
        "system",
        "nice",
        "idle",
        "iowait",
        "interrupt",
        "steal"
      ]
    }
  }
} as const;

/** Reports memory in use by state. */
export const systemMemoryUsage = {
  name: "system.memory.usage",
  prometheusName: "system_memory_usage_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Reports memory in use by state.",
  attributes: {
    "system.memory.state": {
      type: "string",
      requirement: "required",
      values: [
        "used",
        "free",
        "buffers",
        "cached"
      ]
    }
  }
} as const;

/** Total virtual memory available in the system. */
export const systemMemoryLimit = {
  name: "system.memory.limit",
  prometheusName: "system_memory_limit_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Total virtual memory available in the system.",
  attributes: {}
} as const;

/** Share of memory in use by state. */
export const systemMemoryUtilization = {
  name: "system.memory.utilization",
  prometheusName: "system_memory_utilization_ratio",
  instrument: "gauge",
  unit: "1",
  valueType: "double",
  brief: "Share of memory in use by state.",
  attributes: {
    "system.memory.state": {
      type: "string",
      requirement: "required",
      values: [
        "used",
        "free",
        "buffers",
        "cached"
      ]
    }
  }
} as const;

/** Unix swap usage. */
export const systemPagingUsage = {
  name: "system.paging.usage",
  prometheusName: "system_paging_usage_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Unix swap usage.",
  attributes: {
    "system.paging.state": {
      type: "string",
      requirement: "required",
      values: [
        "used",
        "free"
      ]
    }
  }
} as const;

/** The number of page faults. */
export const systemPagingFaults = {
  name: "system.paging.faults",
  prometheusName: "system_paging_faults_total",
  instrument: "counter",
  unit: "{fault}",
  valueType: "int",
  brief: "The number of page faults.",
  attributes: {
    "system.paging.fault.type": {
      type: "string",
      requirement: "required",
      values: [
        "major",
        "minor"
      ]
    }
  }
} as const;

/** The number of paging operations. */
export const systemPagingOperations = {
  name: "system.paging.operations",
  prometheusName: "system_paging_operations_total",
  instrument: "counter",
  unit: "{operation}",
  valueType: "int",
  brief: "The number of paging operations.",
  attributes: {
    "system.paging.direction": {
      type: "string",
      requirement: "required",
      values: [
        "in",
        "out"
      ]
    },
    "system.paging.fault.type": {
      type: "string",
      requirement: "required",
      values: [
        "major",
        "minor"
      ]
    }
  }
} as const;

/** Disk bytes transferred. */
export const systemDiskIo = {
  name: "system.disk.io",
  prometheusName: "system_disk_io_bytes_total",
  instrument: "counter",
  unit: "By",
  valueType: "int",
  brief: "Disk bytes transferred.",
  attributes: {
    "system.device.name": {
      type: "string",
      requirement: "required"
    },
    "disk.io.direction": {
      type: "string",
      requirement: "required",
      values: [
        "read",
        "write"
      ]
    }
  }
} as const;

/** Disk operations count. */
export const systemDiskOperations = {
  name: "system.disk.operations",
  prometheusName: "system_disk_operations_total",
  instrument: "counter",
  unit: "{operation}",
  valueType: "int",
  brief: "Disk operations count.",
  attributes: {
    "system.device.name": {
      type: "string",
      requirement: "required"
    },
    "disk.io.direction": {
      type: "string",
      requirement: "required",
      values: [
        "read",
        "write"
      ]
    }
  }
} as const;

/** Time disk spent activated. */
export const systemDiskIoTime = {
  name: "system.disk.io_time",
  prometheusName: "system_disk_io_time_seconds_total",
  instrument: "counter",
  unit: "s",
  valueType: "double",
  brief: "Time disk spent activated.",
  attributes: {
    "system.device.name": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Sum of the time each operation took to complete. */
export const systemDiskOperationTime = {
  name: "system.disk.operation_time",
  prometheusName: "system_disk_operation_time_seconds_total",
  instrument: "counter",
  unit: "s",
  valueType: "double",
  brief: "Sum of the time each operation took to complete.",
  attributes: {
    "system.device.name": {
      type: "string",
      requirement: "required"
    },
    "disk.io.direction": {
      type: "string",
      requirement: "required",
      values: [
        "read",
        "write"
      ]
    }
  }
} as const;

/** Reports a filesystem's space usage across different states. */
export const systemFilesystemUsage = {
  name: "system.filesystem.usage",
  prometheusName: "system_filesystem_usage_bytes",
  instrument: "updowncounter",
  unit: "By",
  valueType: "int",
  brief: "Reports a filesystem's space usage across different states.",
  attributes: {
    "system.device.name": {
      type: "string",
      requirement: "required"
    },
    "system.filesystem.state": {
      type: "string",
      requirement: "required",
      values: [
        "used",
        "free",
        "reserved"
      ]
    },
    "system.filesystem.type": {
      type: "string",
      requirement: "recommended"
    },
    "system.filesystem.mode": {
      type: "string",
      requirement: "recommended"
    },
    "system.filesystem.mountpoint": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** Fraction of filesystem bytes used. */
export const systemFilesystemUtilization = {
  name: "system.filesystem.utilization",
  prometheusName: "system_filesystem_utilization_ratio",
  instrument: "gauge",
  unit: "1",
  valueType: "double",
  brief: "Fraction of filesystem bytes used.",
  attributes: {
    "system.device.name": {
      type: "string",
      requirement: "required"
    },
    "system.filesystem.type": {
      type: "string",
      requirement: "recommended"
    },
    "system.filesystem.mode": {
      type: "string",
      requirement: "recommended"
    },
    "system.filesystem.mountpoint": {
      type: "string",
      requirement: "required"
    }
  }
} as const;

/** The number of bytes transmitted and received. */
export const systemNetworkIo = {
  name: "system.network.io",
  prometheusName: "system_network_io_bytes_total",
  instrument: "counter",
  unit: "By",
  valueType: "int",
  brief: "The number of bytes transmitted and received.",
  attributes: {
    "network.interface.name": {
      type: "string",
      requirement: "required"
    },
    "network.io.direction": {
      type: "string",
      requirement: "required",
      values: [
        "transmit",
        "receive"
      ]
    }
  }
} as const;

/** The number of packets transferred. */
export const systemNetworkPacketCount = {
  name: "system.network.packet.count",
  prometheusName: "system_network_packet_count_total",
  instrument: "counter",
  unit: "{packet}",
  valueType: "int",
  brief: "The number of packets transferred.",
  attributes: {
    "system.device.name": {
      type: "string",
      requirement: "required"
    },
    "network.io.direction": {
      type: "string",
      requirement: "required",
      values: [
        "transmit",
        "receive"
      ]
    }
  }
} as const;

/** Count of packets that are dropped or discarded even though there was no error. */
export const systemNetworkPacketDropped = {
  name: "system.network.packet.dropped",
  prometheusName: "system_network_packet_dropped_total",
  instrument: "counter",
  unit: "{packet}",
  valueType: "int",
  brief: "Count of packets that are dropped or discarded even though there was no error.",
  attributes: {
    "network.interface.name": {
      type: "string",
      requirement: "required"
    },
    "network.io.direction": {
      type: "string",
      requirement: "required",
      values: [
        "transmit",
        "receive"
      ]
    }
  }
} as const;

/** Count of network errors detected. */
export const systemNetworkErrors = {
  name: "system.network.errors",
  prometheusName: "system_network_errors_total",
  instrument: "counter",
  unit: "{error}",
  valueType: "int",
  brief: "Count of network errors detected.",
  attributes: {
    "network.interface.name": {
      type: "string",
      requirement: "required"
    },
    "network.io.direction": {
      type: "string",
      requirement: "required",
      values: [
        "transmit",
        "receive"
      ]
    }
  }
} as const;

/** Total number of processes created over uptime of the host. */
export const systemProcessCreated = {
  name: "system.process.created",
  prometheusName: "system_process_created_total",
  instrument: "counter",
  unit: "{process}",
  valueType: "int",
  brief: "Total number of processes created over uptime of the host.",
  attributes: {}
} as const;
