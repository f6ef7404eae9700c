/** Keys in order, for prefix reads of the memory store: binary search over one array. */

export interface SortedKeys {
  add(key: string): void;
  remove(key: string): void;
  /** Keys with the prefix, greater than `after`, ascending. */
  withPrefix(prefix: string, after?: string): Generator<string>;
}

export function createSortedKeys(): SortedKeys {
  const keys: string[] = [];

  /** Index of the first key >= `key`. */
  function lowerBound(key: string): number {
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((keys[middle] ?? "") < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  return {
    add(key) {
      const index = lowerBound(key);
      if (keys[index] !== key) keys.splice(index, 0, key);
    },
    remove(key) {
      const index = lowerBound(key);
      if (keys[index] === key) keys.splice(index, 1);
    },
    *withPrefix(prefix, after) {
      let index = lowerBound(after !== undefined && after >= prefix ? after : prefix);
      if (keys[index] === after) index++;
      for (; index < keys.length; index++) {
        const key = keys[index] ?? "";
        if (!key.startsWith(prefix)) return;
        yield key;
      }
    },
  };
}
