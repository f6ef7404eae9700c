/**
 * Who may be sent a page at the same time. Places are few, since every page that waits
 * for its reader holds memory; and they are shared out fairly: one client has only so many,
 * and a place whose scraper has stopped reading goes to the next who needs one.
 */
export interface ScrapeSlotsOptions {
  readonly maximum: number;
  readonly maximumPerClient: number;
  /** A scraper that took nothing for this long has stalled. */
  readonly stallMs: number;
  readonly monotonicMs: () => number;
}

export interface ScrapeSlot extends Disposable {
  /** The scraper takes no more for now. */
  blocked(): void;
  /** It does again. */
  resumed(): void;
}

export interface ScrapeSlots {
  /**
   * A place for one of `client`'s scrapes, or undefined when there is none. `cut` is called
   * when the place is taken away again; it must not throw.
   */
  acquire(client: string, cut: () => void): ScrapeSlot | undefined;
}

interface Place {
  readonly client: string;
  readonly cut: () => void;
  blockedSinceMs: number | undefined;
}

export function createScrapeSlots(options: ScrapeSlotsOptions): ScrapeSlots {
  const places = new Set<Place>();

  function countOf(client: string): number {
    let count = 0;
    for (const place of places) if (place.client === client) count++;
    return count;
  }

  /** Takes away the place that has been stalled for the longest among those that `mayGo`. */
  function takeStalled(mayGo: (place: Place) => boolean): boolean {
    const latestMs = options.monotonicMs() - options.stallMs;
    let longest: Place | undefined;
    for (const place of places) {
      const { blockedSinceMs } = place;
      if (blockedSinceMs === undefined || blockedSinceMs > latestMs || !mayGo(place)) continue;
      if (blockedSinceMs < (longest?.blockedSinceMs ?? Infinity)) longest = place;
    }
    if (longest === undefined) return false;
    places.delete(longest);
    longest.cut();
    return true;
  }

  return {
    acquire(client, cut) {
      const own = countOf(client);
      if (own >= options.maximumPerClient) {
        if (!takeStalled((place) => place.client === client)) return undefined;
      } else if (places.size >= options.maximum) {
        // Of those who have more than this client has: nobody can push out one who has less.
        if (!takeStalled((place) => place.client === client || countOf(place.client) > own)) return undefined;
      }
      const place: Place = { client, cut, blockedSinceMs: undefined };
      places.add(place);
      return {
        blocked: () => void (place.blockedSinceMs ??= options.monotonicMs()),
        resumed: () => void (place.blockedSinceMs = undefined),
        [Symbol.dispose]: () => void places.delete(place),
      };
    },
  };
}
