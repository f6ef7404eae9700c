/** What a call's span says about its request: what it is about, never its content. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Attributes } from "#telemetry/port.ts";

const MAXIMUM_LENGTH = 128;

export function describeRequest(message: MessageShape<DescMessage>): Attributes {
  const fields = message as unknown as Readonly<Record<string, unknown>>;
  const isAboutVm = message.$typeName.endsWith("VmRequest") || message.$typeName.endsWith("VmsRequest");
  const isAboutImage = message.$typeName.endsWith("ImageRequest");
  const name = textOf(fields["vm"]) ?? textOf(fields["name"]);
  return {
    "blixard.operation.id": textOf(fields["operationId"]),
    ...(isAboutVm ? { "blixard.vm.name": name } : {}),
    ...(isAboutImage ? { "blixard.image.name": name } : {}),
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value.slice(0, MAXIMUM_LENGTH) : undefined;
}
