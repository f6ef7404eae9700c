/** The store's contract on a real etcd. */
import { create } from "@bufbuild/protobuf";
import { CompactionRequestSchema, KV } from "#gen/etcd/etcd/etcdserverpb/rpc_pb.ts";
import { testKeyValueStore } from "#test/support/key-value-store-contract.ts";
import { startTestEtcd } from "#test/support/etcd.ts";

testKeyValueStore(
  "the etcd store",
  async () => {
    const etcd = await startTestEtcd();
    const connection = etcd.connect();
    return {
      store: etcd.store({ connection }),
      compact: async (revision) => {
        const request = create(CompactionRequestSchema, { revision, physical: true });
        await connection.unary(KV.method.compact, request, { timeoutMs: 5000 });
      },
      [Symbol.asyncDispose]: () => etcd[Symbol.asyncDispose](),
    };
  },
  { modelRuns: 30 },
);
