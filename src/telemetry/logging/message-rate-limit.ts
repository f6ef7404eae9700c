/**
 * Keeps one message that repeats from drowning the others: so many of a kind pass per
 * window, the rest are counted and said afterwards.
 */
export interface MessageRateLimit {
  /** `suppressed`: how many of this kind were dropped since the last one that passed. */
  admit(kind: string, nowMs: number): { readonly pass: boolean; readonly suppressed: number };
  /** Kinds whose window is over with drops nobody was told of; each is returned once. */
  takeUnreported(nowMs: number): readonly { readonly kind: string; readonly suppressed: number }[];
}

export interface MessageRateLimitOptions {
  readonly windowMs: number;
  readonly messagesPerWindow: number;
  /** Kinds told apart at a time; the longest quiet one is forgotten first. */
  readonly maximumKinds: number;
}

interface Window {
  startMs: number;
  passed: number;
  suppressed: number;
}

export function createMessageRateLimit(options: MessageRateLimitOptions): MessageRateLimit {
  const windows = new Map<string, Window>();
  let nextSweepMs = 0;

  const isOver = (window: Window, nowMs: number): boolean =>
    nowMs >= window.startMs + options.windowMs || nowMs < window.startMs;

  return {
    admit(kind, nowMs) {
      const known = windows.get(kind);
      windows.delete(kind);
      const fresh = known === undefined || isOver(known, nowMs);
      const window: Window = fresh ? { startMs: nowMs, passed: 0, suppressed: 0 } : known;
      windows.set(kind, window);
      if (windows.size > options.maximumKinds) windows.delete(windows.keys().next().value ?? kind);
      if (window.passed >= options.messagesPerWindow) {
        window.suppressed++;
        return { pass: false, suppressed: 0 };
      }
      window.passed++;
      return { pass: true, suppressed: fresh ? (known?.suppressed ?? 0) : 0 };
    },
    takeUnreported(nowMs) {
      if (nowMs < nextSweepMs) return [];
      nextSweepMs = nowMs + options.windowMs;
      const unreported: { kind: string; suppressed: number }[] = [];
      for (const [kind, window] of windows) {
        if (!isOver(window, nowMs)) continue;
        if (window.suppressed > 0) unreported.push({ kind, suppressed: window.suppressed });
        windows.delete(kind);
      }
      return unreported;
    },
  };
}
