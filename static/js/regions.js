// Parts of a page that are read again when the deliveries they show have changed.

import { Reading } from "./again.js";
import { fetchFragment } from "./fragment.js";
import { Socket } from "./socket.js";
import { showState, showTrouble } from "./state.js";

const pause = 1_000; // milliseconds between two readings

/** Keeps the regions of a page current: elements with data-live-region and an id. */
export class Regions {
  #root;
  #reading;
  #timer = 0;
  #last = 0;

  /** read returns a promise of the nodes that have the regions anew. */
  constructor(root, read) {
    this.#root = root;
    this.#reading = new Reading(async () => this.#show(await read()));
    document.addEventListener("visibilitychange", () => document.hidden || this.#timer === -1 && this.#run());
  }

  /** Takes note of a frame, and reads the regions again when it is about something that the page shows. */
  onFrame(frame) {
    if (frame.all || this.#concerns(frame)) {
      this.refresh();
    }
  }

  /** Reads the regions again, soon: not more than once a second, and not while nobody looks. */
  refresh() {
    if (document.hidden) {
      this.#timer ||= -1;
      return;
    }
    if (this.#timer <= 0) {
      this.#timer = setTimeout(() => this.#run(), Math.max(0, this.#last + pause - Date.now()));
    }
  }

  #concerns({ marks, deliveries, subscriptions }) {
    const shows = (name, ids) => [...this.#root.querySelectorAll(`[data-live-${name}]`)].some((part) => {
      const id = part.getAttribute(`data-live-${name}`);
      return id === "" || ids.includes(id);
    });
    return shows("request", Object.keys(marks)) || shows("delivery", deliveries) || shows("subscription", subscriptions);
  }

  #run() {
    this.#timer = 0;
    this.#last = Date.now();
    this.#reading.run();
  }

  #show(fresh) {
    if (!fresh) {
      return;
    }
    for (const old of this.#root.querySelectorAll("[data-live-region]")) {
      const region = fresh.querySelector(`#${CSS.escape(old.id)}`);
      if (region && !region.isEqualNode(old)) {
        replaceRegion(old, region);
      }
    }
  }
}

/** Puts the new region in the place of the old one. What the reader has opened stays open, and the focus stays where it is. */
export function replaceRegion(old, region) {
  for (const before of old.querySelectorAll("details[id]")) {
    const after = region.querySelector(`#${CSS.escape(before.id)}`);
    if (after) {
      after.open = before.open;
    }
  }
  const focus = old.contains(document.activeElement) ? focusable(old).indexOf(document.activeElement) : -1;
  const name = document.activeElement.textContent;
  old.replaceWith(region);
  if (focus >= 0) {
    const all = focusable(region);
    const again = all[focus]?.textContent === name ? all[focus] : all.find((part) => part.textContent === name);
    (again ?? all[Math.min(focus, all.length - 1)])?.focus({ preventScroll: true });
  }
}

function focusable(region) {
  return [...region.querySelectorAll("a[href], button, input, select, textarea, summary")];
}

/** Connects the regions of a page that has some and is not the inspector. */
export function startRegions() {
  const main = document.querySelector("main.page");
  const live = document.getElementById("live");
  if (!live || !main?.querySelector("[data-live-region]")) {
    return;
  }
  const regions = new Regions(main, () => fetchFragment(location.href, "regions"));
  const socket = new Socket(live.dataset.socket, {
    onState: showState,
    onOpen: () => regions.refresh(),
    onFrame: (frame) => {
      if (frame.type === "deliveries") {
        regions.onFrame(frame);
      } else if (frame.type === "degraded") {
        showTrouble("Degraded", frame.message);
      } else if (frame.type === "deleted") {
        socket.end();
        showTrouble("Deleted", "This capture URL is gone, and its deliveries with it.");
      }
    },
  });
}
