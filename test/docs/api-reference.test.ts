/** docs/reference/api.md is written by hand; its table is what the API serves. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { ClusterService } from "#gen/api/blixard/v1/cluster_pb.ts";
import { ImageService } from "#gen/api/blixard/v1/image_pb.ts";
import { NodeService } from "#gen/api/blixard/v1/node_pb.ts";
import { TelemetryService } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { VmService } from "#gen/api/blixard/v1/vm_pb.ts";
import { Health } from "#gen/grpc/grpc/health/v1/health_pb.ts";

const document = readFileSync(resolve(import.meta.dirname, "../../docs/reference/api.md"), "utf8");

for (const service of [VmService, ImageService, NodeService, ClusterService, TelemetryService, Health]) {
  test(`the reference lists every call of ${service.typeName}, and which are streams`, () => {
    const row = document.split("\n").find((line) => line.startsWith(`| \`${service.typeName}\` |`));
    assert.equal(row, `| \`${service.typeName}\` | ${callsOf(service)} |`);
  });
}

function callsOf(service: DescService): string {
  return service.methods.map(({ name, methodKind }) => `\`${name}\`${methodKind === "unary" ? "" : "°"}`).join(" ");
}
