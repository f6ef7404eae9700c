/**
 * One rendering of the page for all who ask at about the same time.
 *
 *   page ──→ chunk ──→ chunk ──→ chunk …      made when the first reader needs it
 *            ▲ slow reader       ▲ fast reader
 *
 * Chunks are a chain in which each knows its next: what every reader has passed is
 * garbage, and a reader never waits for another. Who comes late begins at the beginning,
 * as long as that is kept (`joinMs`). A slow reader makes the chain between it and the
 * fastest one stay in memory: beyond `maximumLagBytes` it is cut off.
 */
export interface SharedPageOptions {
  readonly chunks: AsyncIterable<Buffer>;
  readonly maximumLagBytes: number;
}

export interface PageReader extends AsyncIterable<Buffer>, Disposable {}

interface Link {
  readonly chunk: Buffer;
  readonly next: () => Promise<Link | undefined>;
}

interface Reader {
  readBytes: number;
  readonly onLag: () => void;
}

export class SharedPage {
  readonly #source: AsyncIterator<Buffer>;
  readonly #maximumLagBytes: number;
  readonly #readers = new Set<Reader>();
  #first: (() => Promise<Link | undefined>) | undefined;
  #producedBytes = 0;

  constructor({ chunks, maximumLagBytes }: SharedPageOptions) {
    this.#source = chunks[Symbol.asyncIterator]();
    this.#maximumLagBytes = maximumLagBytes;
    this.#first = this.#link();
  }

  /** Whether one may still join. */
  get open(): boolean {
    return this.#first !== undefined;
  }

  /** From now on nobody joins, and the beginning can be forgotten. */
  closeEntry(): void {
    this.#first = undefined;
  }

  /** Reads the page from its beginning; dispose of it in any case. `onLag`: it fell too far behind. */
  join(onLag: () => void): PageReader {
    const first = this.#first;
    if (first === undefined) throw new Error("nobody can join this page any more");
    const reader: Reader = { readBytes: 0, onLag };
    this.#readers.add(reader);
    return {
      [Symbol.asyncIterator]: () => walk(first, reader),
      [Symbol.dispose]: () => this.#leave(reader),
    };
  }

  #leave(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    this.closeEntry();
    // Nobody is left: what makes the chunks can stop.
    this.#source.return?.().catch(() => {});
  }

  /** Makes the next link once, whoever asks first. */
  #link(): () => Promise<Link | undefined> {
    let made: Promise<Link | undefined> | undefined;
    return () => (made ??= this.#make());
  }

  async #make(): Promise<Link | undefined> {
    const result = await this.#source.next();
    if (result.done === true) return undefined;
    this.#producedBytes += result.value.length;
    for (const reader of this.#readers) {
      if (this.#producedBytes - reader.readBytes > this.#maximumLagBytes + result.value.length) reader.onLag();
    }
    return { chunk: result.value, next: this.#link() };
  }
}

async function* walk(first: () => Promise<Link | undefined>, reader: Reader): AsyncGenerator<Buffer, void, void> {
  let link = await first();
  while (link !== undefined) {
    reader.readBytes += link.chunk.length;
    yield link.chunk;
    link = await link.next();
  }
}
