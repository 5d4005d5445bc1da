// The list of capture URLs, kept current: a line is replaced when something arrives for it.

import { Reading } from "./again.js";
import { fetchFragment, parse } from "./fragment.js";
import { Socket } from "./socket.js";
import { showState, showTrouble } from "./state.js";

/** Connects the list of capture URLs, on the page that begins with the newest. */
export function startURLs() {
  const list = document.getElementById("urls");
  const live = document.getElementById("live");
  if (!list || !live) {
    return;
  }
  const title = document.title;
  const waiting = new Map(); // id → its newest line
  let changed = new Set(); // ids of what arrived while nobody looked
  let told = new Set(); // ids that frames told of since the list was last asked for
  let drawing = 0;

  const draw = () => {
    drawing = 0;
    for (const [id, line] of waiting) {
      const old = list.querySelector(`[data-id="${CSS.escape(id)}"]`);
      if (!old) {
        list.prepend(line);
      } else if (!old.contains(document.activeElement)) {
        old.replaceWith(line);
      } else {
        refresh(old, line);
      }
    }
    waiting.clear();
    showEmpty();
  };
  const showEmpty = () => {
    list.hidden = list.childElementCount === 0;
    document.getElementById("no-urls").hidden = !list.hidden;
  };
  const showCount = () => {
    document.title = changed.size > 0 ? `(${changed.size}) ${title}` : title;
  };
  const schedule = () => {
    // A hidden page has no frames to draw in.
    drawing ||= document.hidden ? setTimeout(draw, 1000) : requestAnimationFrame(draw);
  };

  // What happened before the socket was open was told to nobody. What was told since the list was asked for may be newer than
  // that list, and stays as it was told.
  const reading = new Reading(async () => {
    told = new Set();
    const page = await fetchFragment(location.href, "list");
    const lines = [...page.getElementById("urls").children];
    const there = new Set(lines.map((line) => line.dataset.id));
    for (const line of [...list.children, ...waiting.values()]) {
      const { id } = line.dataset;
      if (!there.has(id) && !told.has(id)) {
        waiting.delete(id); // it was not drawn yet
        line.remove();
      }
    }
    for (const line of lines.reverse()) {
      if (!told.has(line.dataset.id)) {
        waiting.set(line.dataset.id, line);
      }
    }
    schedule();
  });

  new Socket(live.dataset.socket, {
    onState: showState,
    onOpen: () => reading.run(),
    onFrame: (frame) => {
      if (frame.type === "degraded") {
        showTrouble("Degraded", frame.message);
      }
      if (frame.type === "reset") {
        reading.run(); // too much has happened to be told
      }
      if (frame.type !== "urls") {
        return;
      }
      for (const { id, html } of frame.items ?? []) {
        told.add(id);
        waiting.set(id, parse(html).firstElementChild);
        if (document.hidden) {
          changed.add(id);
        }
      }
      for (const id of frame.removed ?? []) {
        told.add(id);
        waiting.delete(id);
        list.querySelector(`[data-id="${CSS.escape(id)}"]`)?.remove();
      }
      showEmpty();
      showCount();
      schedule();
    },
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      changed = new Set();
      showCount();
    }
  });
}

// Puts the new texts into a line whose link or button has the focus, so that the focus stays.
function refresh(old, fresh) {
  for (const part of [".marks", ".count", ".when"]) {
    const before = old.querySelector(part);
    if (!before.contains(document.activeElement)) {
      before.replaceWith(fresh.querySelector(part));
    }
  }
}
