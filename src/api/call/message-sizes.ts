/** Tells the size of each message in a body's bytes, however they are cut into pieces. */
export type BodyFraming =
  /** The body is the message. */
  | "plain"
  /** Messages with a head of five bytes: flags, length (gRPC, gRPC-web, Connect streams). */
  | "enveloped";

export interface MessageSizer {
  add(bytes: Uint8Array): void;
  /** The body has ended. */
  end(): void;
}

const HEAD_BYTES = 5;
/** Trailers (gRPC-web) and the end of a Connect stream are no messages. */
const END_FLAGS = 0x80 | 0x02;

export function createMessageSizer(framing: BodyFraming, record: (bytes: number) => void): MessageSizer {
  return framing === "plain" ? createPlainSizer(record) : createEnvelopeSizer(record);
}

function createPlainSizer(record: (bytes: number) => void): MessageSizer {
  let total = 0;
  let seen = false;
  return {
    add(bytes) {
      total += bytes.length;
      seen = true;
    },
    end() {
      if (seen) record(total);
      seen = false;
    },
  };
}

function createEnvelopeSizer(record: (bytes: number) => void): MessageSizer {
  let head: number[] = [];
  let bodyLeft = 0;
  return {
    add(bytes) {
      let offset = 0;
      while (offset < bytes.length) {
        if (bodyLeft > 0) {
          const taken = Math.min(bodyLeft, bytes.length - offset);
          bodyLeft -= taken;
          offset += taken;
          continue;
        }
        head.push(bytes[offset] ?? 0);
        offset++;
        if (head.length < HEAD_BYTES) continue;
        const [flags = 0, a = 0, b = 0, c = 0, d = 0] = head;
        head = [];
        bodyLeft = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
        if ((flags & END_FLAGS) === 0) record(bodyLeft);
      }
    },
    end: () => undefined,
  };
}
