/**
 * Progress of something that takes a while, on stderr: a line that is redrawn on a
 * terminal, otherwise a plain line for every change.
 */
import type { CliIo } from "../io.ts";
import { chooseStyle, supportsUnicode } from "./style.ts";
import { shortDuration } from "./time.ts";
import { printable, truncate } from "./text.ts";

export interface Progress {
  /** `state` in one word, `detail` says why. */
  update(state: string, detail: string): void;
  /** Clears what is redrawn. Idempotent. */
  end(): void;
}

const REDRAW_INTERVAL_MS = 100;
const FRAMES = { unicode: ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"], ascii: ["|", "/", "-", "\\"] } as const;

export function createProgress(io: CliIo, subject: string): Progress {
  return io.stderr.isTerminal && io.environment["TERM"] !== "dumb"
    ? createSpinner(io, subject)
    : createLines(io, subject);
}

function createLines(io: CliIo, subject: string): Progress {
  let last = "";
  return {
    update: (state, detail) => {
      const line = stateLine(subject, state, detail);
      if (line === last) return;
      last = line;
      write(io, `${line}\n`);
    },
    end: () => {},
  };
}

function createSpinner(io: CliIo, subject: string): Progress {
  const style = chooseStyle(io.stderr, io.environment);
  const frames = supportsUnicode(io.environment) ? FRAMES.unicode : FRAMES.ascii;
  const startTimeMs = io.now();
  let [state, detail, frame] = ["", "", 0];
  const draw = (): void => {
    const elapsed = shortDuration(Math.round((io.now() - startTimeMs) / 100) * 100);
    const text = truncate(`${stateLine(subject, state, detail)}  ${elapsed}`, io.stderr.columns - 3);
    write(io, `\r\u001B[2K${style("cyan", frames[frame++ % frames.length] ?? "")} ${text}`);
  };
  const timer = setInterval(draw, REDRAW_INTERVAL_MS);
  return {
    update: (nextState, nextDetail) => {
      [state, detail] = [nextState, nextDetail];
      draw();
    },
    end: () => {
      clearInterval(timer);
      write(io, "\r\u001B[2K");
    },
  };
}

function stateLine(subject: string, state: string, detail: string): string {
  return printable(`${subject}: ${state}${detail === "" ? "" : ` (${detail})`}`);
}

/** Progress is worth no failure. */
function write(io: CliIo, text: string): void {
  io.stderr.write(text).catch(() => {});
}
