/** A stream of pieces of any size, read in pieces that are no larger than asked for. */
export interface ByteReader {
  /**
   * The next 1 to `maximumBytes` bytes, or undefined at the end. The bytes are the stream's own: copy to keep.
   * @throws the reason of the signal, also while the stream says nothing
   */
  read(maximumBytes: number): Promise<Uint8Array | undefined>;
  /** Tells the stream that no more is read, without waiting for it. */
  close(): void;
}

export function createByteReader(source: AsyncIterable<Uint8Array>, signal: AbortSignal): ByteReader {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);

  async function next(): Promise<IteratorResult<Uint8Array>> {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([iterator.next(), aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  return {
    async read(maximumBytes) {
      while (rest.length === 0) {
        const result = await next();
        if (result.done === true) return undefined;
        rest = result.value;
      }
      const piece = rest.subarray(0, maximumBytes);
      rest = rest.subarray(piece.length);
      return piece;
    },
    close() {
      iterator.return?.().catch(() => undefined);
    },
  };
}
