/** One export request, ready to be sent. */
export interface EncodedRequest {
  readonly bytes: Uint8Array;
  /** Spans, data points or log records in it. */
  readonly items: number;
}

export interface EncodedBatch {
  readonly requests: readonly EncodedRequest[];
  /** Items too large for any request. */
  readonly oversized: number;
}

/**
 * Receivers refuse gRPC messages over 4 MiB unless told otherwise. The rest is for
 * the lengths of the enclosing messages, which are written last.
 */
export const MAXIMUM_REQUEST_BYTES = 4 * 1024 * 1024 - 4_096;

export interface RequestLimits {
  /** A request is closed before it grows over this, unless one item alone does. */
  readonly targetBytes: number;
  /** An item that alone is over this is left out. */
  readonly maximumBytes: number;
}
