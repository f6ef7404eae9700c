/** gRPC's health checking: whether the node serves, asked once or watched. */
import type { ServiceImpl } from "@connectrpc/connect";
import { HealthCheckResponse_ServingStatus as Status, type Health } from "#gen/grpc/grpc/health/v1/health_pb.ts";
import { BlixardError } from "#model/errors.ts";

export interface HealthHandler {
  readonly service: ServiceImpl<typeof Health>;
  setServing(serving: boolean): void;
}

/** @param services full names; the empty name stands for the node as a whole */
export function createHealthHandler(services: readonly string[]): HealthHandler {
  const known = new Set(["", ...services]);
  let serving = false;
  let change = Promise.withResolvers<void>();

  const current = (): Status => (serving ? Status.SERVING : Status.NOT_SERVING);

  return {
    setServing(next) {
      if (next === serving) return;
      serving = next;
      const changed = change;
      change = Promise.withResolvers<void>();
      changed.resolve();
    },
    service: {
      check({ service }) {
        if (known.has(service)) return { status: current() };
        throw new BlixardError("SERVICE_NOT_FOUND", "the node has no service of this name", {
          field: "service",
          hint: "Leave the name empty to ask for the node as a whole.",
        });
      },
      async *watch({ service }, context) {
        const ended = Promise.withResolvers<void>();
        context.signal.addEventListener("abort", () => ended.resolve(), { once: true });
        let last: Status | undefined;
        while (!context.signal.aborted) {
          const changed = change.promise;
          const status = known.has(service) ? current() : Status.SERVICE_UNKNOWN;
          if (status !== last) yield { status };
          last = status;
          await Promise.race([changed, ended.promise]);
        }
      },
    },
  };
}
