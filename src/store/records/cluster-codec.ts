/** `cluster` between model and wire. */
import { create } from "@bufbuild/protobuf";
import { type ClusterRecord, ClusterRecordSchema } from "#gen/store/blixard/store/v1/records_pb.ts";
import { timeFromMessage, timeToMessage } from "./common-codec.ts";
import { createRecordCodec } from "./record-codec.ts";

export interface Cluster {
  /** UUID. */
  readonly id: string;
  readonly name: string;
  readonly createTimeMs: number;
}

export const clusterCodec = createRecordCodec(
  ClusterRecordSchema,
  (message: ClusterRecord): Cluster => ({
    id: message.clusterId,
    name: message.name,
    createTimeMs: timeFromMessage(message.createTime),
  }),
  (cluster: Cluster) =>
    create(ClusterRecordSchema, {
      clusterId: cluster.id,
      name: cluster.name,
      createTime: timeToMessage(cluster.createTimeMs),
    }),
);
