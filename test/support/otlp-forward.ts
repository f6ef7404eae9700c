/** How a double of a vendor's receiver hands on what passed the vendor's rules: to the tests' own, which checks the message. */
import type { OtlpSignal } from "#telemetry/otlp/destination.ts";
import type { OtlpReceiver } from "./otlp-receiver.ts";

export interface ForwardedAnswer {
  readonly statusCode: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** The receiver's answer to `body`, which is OTLP in the content type and encoding that it says. */
export async function forwardOtlp(
  receiver: OtlpReceiver,
  signal: OtlpSignal,
  body: Buffer,
  headers: { readonly "content-type": string; readonly "content-encoding"?: string },
): Promise<ForwardedAnswer> {
  const response = await fetch(`${receiver.httpEndpoint}/v1/${signal}`, {
    method: "POST",
    headers,
    body: new Uint8Array(body),
  });
  return {
    statusCode: response.status,
    contentType: response.headers.get("content-type") ?? "",
    body: Buffer.from(await response.arrayBuffer()),
  };
}
