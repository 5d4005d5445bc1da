// Asking again for what the server could not answer: later each time, and not all pages at the same moment.

import { leave, Unanswered } from "./fragment.js";
import { showLate } from "./state.js";

const firstPause = 1_000; // milliseconds before the second try; each further one waits twice as long
const longestPause = 60_000;

const pauses = new Set(); // those that wait now
const late = new Set(); // what has not been answered yet, of what has failed

/**
 * Calls ask until it is answered, and returns what it gives. Rejects when the answer is one that no further try changes, and
 * when signal is aborted. onFailure is called with each Unanswered.
 */
export async function untilAnswered(ask, { signal, onFailure } = {}) {
  const asked = {};
  try {
    for (let failures = 0; ; failures++) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof Unanswered)) {
          throw error;
        }
        signal?.throwIfAborted();
        late.add(asked);
        showLate(true);
        onFailure?.(error);
        await pause(Math.min(longestPause, firstPause * 2 ** failures), error.wait, signal);
      }
    }
  } finally {
    late.delete(asked);
    showLate(late.size > 0);
  }
}

// The pause ends early when the connection is back, but never before the server wants to be asked again.
async function pause(length, wait, signal) {
  const waiting = {};
  const over = new Promise((end, stop) => {
    const spread = 0.6 * length * Math.random();
    const timer = setTimeout(end, spread + Math.max(wait, 0.7 * length));
    waiting.wake = wait > 0 ? () => {} : end;
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      stop(signal.reason);
    }, { once: true });
  });
  pauses.add(waiting);
  try {
    await over;
  } finally {
    pauses.delete(waiting);
  }
}

/** Tries at once what waits for a server that was not there: it is. */
export function tryAgain() {
  for (const waiting of pauses) {
    waiting.wake();
  }
}

/** Reads a part of the page whenever it may be out of date: one reading at a time, again after each failure. */
export class Reading {
  #read;
  #running = false;
  #stale = false;

  /** read returns a promise, which rejects as that of fetchFragment. */
  constructor(read) {
    this.#read = read;
  }

  /** Reads. What changes from now on is in the reading, or in another one after it. */
  async run() {
    this.#stale = true;
    if (this.#running) {
      return;
    }
    this.#running = true;
    try {
      while (this.#stale) {
        await untilAnswered(() => {
          this.#stale = false;
          return this.#read();
        });
      }
    } catch (error) {
      leave(error);
    } finally {
      this.#running = false;
    }
  }
}
