/**
 * Runs generators at the same time and yields what they yield one generator after the
 * other: the first one's values as they come, the others' when it is their turn. Ended
 * early, it ends them all; `abandon` is called first, to end what they wait for.
 */
export async function* inOrder<T>(
  generators: readonly AsyncGenerator<T, void, void>[],
  abandon: () => void,
): AsyncGenerator<T, void, void> {
  const queues = generators.map((generator) => new Queue(generator));
  let isDone = false;
  try {
    for (const queue of queues) yield* queue.values();
    isDone = true;
  } finally {
    if (!isDone) abandon();
    await Promise.all(queues.map((queue) => queue.end()));
  }
}

/** Pulls a generator to its end and keeps what is not read yet: as much as the generator has. */
class Queue<T> {
  readonly #generator: AsyncGenerator<T, void, void>;
  readonly #values: T[] = [];
  readonly #pulling: Promise<void>;
  #changed = Promise.withResolvers<void>();
  #done = false;

  constructor(generator: AsyncGenerator<T, void, void>) {
    this.#generator = generator;
    this.#pulling = this.#pull();
    // Told to the reader; one that does not read any more does not care.
    this.#pulling.catch(() => {});
  }

  async *values(): AsyncGenerator<T, void, void> {
    for (;;) {
      for (let value = this.#values.shift(); value !== undefined; value = this.#values.shift()) yield value;
      if (this.#done) break;
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
    await this.#pulling;
  }

  async end(): Promise<void> {
    await this.#generator.return();
  }

  async #pull(): Promise<void> {
    try {
      for await (const value of this.#generator) {
        this.#values.push(value);
        this.#changed.resolve();
      }
    } finally {
      this.#done = true;
      this.#changed.resolve();
    }
  }
}
