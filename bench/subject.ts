/**
 * What is compared runs in processes of its own, so that nobody pays for another's
 * garbage: one process for each subject, told to begin and to end, answering with figures.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export interface Subject extends Disposable {
  /** Sends a word and resolves to the answer. */
  ask(word: string): Promise<unknown>;
}

/** Starts `script` of this folder; resolves when it has said that it is ready, to what it said. */
export async function startSubject(script: string, kind: string): Promise<{ subject: Subject; ready: unknown }> {
  const child = fork(join(import.meta.dirname, script), [kind]);
  const subject: Subject = {
    async ask(word) {
      const answer = answerOf(child);
      child.send(word);
      return await answer;
    },
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
  return { subject, ready: await answerOf(child) };
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const answered = new AbortController();
  const { signal } = answered;
  const ended = once(child, "exit", { signal }).then(() => {
    throw new Error("the process that is measured has ended");
  });
  ended.catch(() => undefined);
  try {
    const message: unknown[] = await Promise.race([once(child, "message", { signal }), ended]);
    return message[0];
  } finally {
    answered.abort();
  }
}

/** In the subject's process: says that it is ready, then answers each word. Ends with its parent. */
export function serveParent(ready: unknown, answer: (word: unknown) => unknown): void {
  const send = (message: unknown): void => void process.send?.(message);
  process.on("message", (word) => send(answer(word)));
  process.on("disconnect", () => process.exit(0));
  send(ready);
}
