// The list of requests: rows in the order of their ids, never doubled, and never more than a page can bear.

import { untilAnswered } from "./again.js";
import { fetchFragment, parse } from "./fragment.js";

const mostRows = 300;
const calmAfter = 600; // milliseconds without a frame before what was left out is fetched
const hiddenPause = 1000; // a hidden page draws once a second: it has no animation frames
const mostWaiting = 40; // frames that wait to be drawn; of more only the number is kept

/** The rows of one capture URL. Ids are compared as text, which has the order of time. */
export class RequestList {
  #path;
  #frames = []; // not drawn yet
  #drawing = 0;
  #calm = 0;
  #filling = false;
  #waiting = 0;
  #marks = new Map(); // id → what its deliveries have come to, of rows that are not drawn yet
  #told = new Set(); // ids of marks that were told since a page was last asked for
  #lost = false; // whether a removal was told since then
  #loading = null; // the page of the list that is being fetched; frames wait until it is there
  #fetching = new Set(); // pages that are: each has what was told meanwhile, which may be newer
  #onDrawn;

  /** path is the capture URL's page; onDrawn is called after rows were added or removed. */
  constructor(path, onDrawn) {
    this.#path = path;
    this.#onDrawn = onDrawn;
    this.kept = Number(this.scroller.dataset.kept);
  }

  get scroller() {
    return document.getElementById("scroller");
  }

  get rows() {
    return document.getElementById("rows");
  }

  /** Whether the list starts with the newest request, and not somewhere further down, or will once it is fetched. */
  get isNewest() {
    return this.#loading?.isNewest ?? "newest" in this.scroller.dataset;
  }

  /** The id of the first row, "" when there is none. */
  get first() {
    return this.rows.querySelector("[data-id]")?.dataset.id ?? "";
  }

  row(id) {
    return id ? this.rows.querySelector(`[data-id="${CSS.escape(id)}"]`) : null;
  }

  /** Returns the row that is steps below the one with the id (above it when negative); the first one without an id. */
  neighbour(id, steps) {
    const all = [...this.rows.querySelectorAll("[data-id]")];
    const at = all.findIndex((row) => row.dataset.id === id);
    return at < 0 ? all[0] : all[at + steps];
  }

  /** Adds the rows of a frame with the next drawing. */
  add(frame) {
    this.#frames.push(frame);
    if (this.#frames.length > mostWaiting) {
      const [dropped, next] = this.#frames.splice(0, 2);
      next.left_out += dropped.left_out + count(dropped);
      this.#frames.unshift(next);
    }
    if (!this.#drawing && !this.#loading) {
      const draw = () => this.#draw();
      this.#drawing = document.hidden ? setTimeout(draw, hiddenPause) : requestAnimationFrame(draw);
    }
    this.#waitForCalm();
  }

  /** Shows what the deliveries of requests have come to: id → HTML. */
  mark(marks) {
    for (const [id, html] of Object.entries(marks)) {
      this.#marks.set(id, html);
      this.#told.add(id);
      for (const page of this.#fetching) {
        page.marks.set(id, html);
      }
    }
    this.#drawMarksOnce();
  }

  #drawMarks() {
    for (const [id, html] of this.#marks) {
      this.row(id)?.querySelector(".outcome")?.replaceWith(parse(html).firstElementChild);
    }
    this.#marks.clear();
  }

  #waitForCalm() {
    clearTimeout(this.#calm);
    this.#calm = setTimeout(() => this.#fillGaps(), calmAfter);
  }

  /** Draws what waits at once: a page that was hidden is looked at again. */
  flush() {
    if (this.#frames.length > 0 && !this.#loading) {
      this.#draw();
    }
  }

  #draw() {
    this.#drawing = 0;
    if (this.#loading) {
      return;
    }
    for (const frame of this.#frames.splice(0)) {
      this.#insert([...parse(frame.html).children], frame.left_out);
    }
    this.#drawMarks();
    this.#trim();
    this.#showRest();
    this.#onDrawn();
  }

  #insert(fresh, leftOut) {
    const known = this.first;
    fresh = fresh.filter((row) => !this.row(row.dataset.id));
    if (fresh.length === 0) {
      return;
    }
    if (fresh.at(-1).dataset.id > known) {
      if (leftOut > 0 && known) {
        fresh.push(gap(leftOut));
      }
      this.rows.prepend(...fresh);
      return;
    }
    for (const row of fresh) {
      this.#place(row);
    }
  }

  #place(row) {
    for (const other of this.rows.querySelectorAll("[data-id]")) {
      if (other.dataset.id < row.dataset.id) {
        other.before(row);
        return;
      }
    }
    this.rows.append(row);
  }

  #trim() {
    const all = this.rows.querySelectorAll("[data-id]");
    for (let i = all.length - 1; i >= mostRows; i--) {
      all[i].remove();
    }
    while (this.rows.lastElementChild && !this.rows.lastElementChild.dataset.id) {
      this.rows.lastElementChild.remove();
    }
  }

  /** Removes the rows for which gone returns true: the server told that they are gone, and that kept are left. */
  remove(gone, kept) {
    this.#lost = true;
    for (const page of this.#fetching) {
      page.gone.push(gone);
    }
    this.#drop(gone);
    this.kept = kept;
  }

  #drop(gone) {
    this.flush();
    for (const row of this.rows.querySelectorAll("[data-id]")) {
      if (gone(row.dataset.id)) {
        row.remove();
      }
    }
    this.#trim();
    this.#showRest();
    this.#onDrawn();
  }

  /** Shows how many requests are kept; waiting is how many of them arrived without a row, because nothing may jump. */
  showKept(kept, waiting) {
    this.kept = kept;
    this.#waiting = waiting;
    document.getElementById("count").textContent = kept.toLocaleString("en");
    const text = document.getElementById("kept").firstChild; // how much is kept at most follows in an element
    text.data = text.data.replace(/^[\d,]+/, kept.toLocaleString("en"));
    this.#showRest();
    this.#onDrawn();
  }

  #leftOut() {
    let n = 0;
    for (const element of this.rows.querySelectorAll(".gap")) {
      n += Number(element.dataset.count);
    }
    return n;
  }

  // The end of the list says how much more there is, as long as the page knows: further down it does not.
  #showRest() {
    const foot = document.getElementById("foot");
    const last = this.rows.lastElementChild;
    if (!this.isNewest || !last) {
      foot.hidden ||= !last;
      return;
    }
    const rest = this.kept - this.#waiting - this.rows.querySelectorAll("[data-id]").length - this.#leftOut();
    foot.hidden = rest <= 0;
    const link = foot.querySelector("a");
    link.textContent = `${Math.max(0, rest).toLocaleString("en")} more`;
    link.href = `${this.#path}?before=${last.dataset.id}`;
  }

  /**
   * Shows another page of the list: query is "", "?before=…" or "?after=…". Returns how many requests had ever been received by then, and
   * whether some of them came that are not on this page; undefined when another call came after it. Asks until it is answered, and rejects
   * with a Moved.
   */
  async show(query = "") {
    this.flush();
    this.#loading?.controller.abort();
    const loading = { isNewest: query === "", marks: new Map(), gone: [], controller: new AbortController() };
    this.#loading = loading;
    const page = await this.#fetchPage(query, loading);
    if (!page) {
      return undefined;
    }
    let hadFocus = false;
    for (const id of ["scroller", "count", "kept", "seen", "clear"]) {
      const old = document.getElementById(id);
      hadFocus ||= old.contains(document.activeElement);
      old.replaceWith(page.getElementById(id));
    }
    if (hadFocus) {
      this.scroller.focus({ preventScroll: true }); // not a row: who comes to one holds the list
    }
    const told = this.kept;
    this.kept = Number(this.scroller.dataset.kept);
    this.#waiting = 0;
    const frames = this.#frames.splice(0); // no rows of an older page
    const leftOut = !loading.isNewest && frames.length > 0;
    this.#addMeanwhile(leftOut ? [] : frames);
    this.#removeMeanwhile(loading.gone, told);
    this.#markMeanwhile(loading.marks);
    this.#showRest();
    this.#onDrawn();
    return { received: Number(this.scroller.dataset.received), leftOut };
  }

  // Fetches a page of the list, however long it takes; gives nothing when another one is wanted by then.
  async #fetchPage(query, loading) {
    const { signal } = loading.controller;
    this.#fetching.add(loading);
    try {
      const page = await untilAnswered(() => fetchFragment(this.#path + query, "list", signal), { signal });
      return loading === this.#loading ? page : null;
    } catch (error) {
      if (signal.aborted) {
        return null;
      }
      throw error;
    } finally {
      this.#fetching.delete(loading);
      if (loading === this.#loading) {
        this.#loading = null;
      }
    }
  }

  // Adds what came while the list was fetched: the page may have been made before or after it.
  #addMeanwhile(frames) {
    const newest = this.first;
    for (const frame of frames) {
      const rows = [...parse(frame.html).children];
      const fresh = rows.filter((row) => row.dataset.id > newest);
      this.#insert(fresh, fresh.length < rows.length ? 0 : frame.left_out);
      this.kept = frame.kept;
    }
    if (frames.length > 0) {
      this.#trim();
      this.showKept(this.kept, 0);
      this.#waitForCalm();
    }
  }

  // Takes away what went while the list was fetched: the page may have been made before it.
  #removeMeanwhile(gone, kept) {
    if (gone.length > 0) {
      this.#drop((id) => gone.some((went) => went(id)));
      this.showKept(kept, 0);
    }
  }

  // Shows what was told of rows while they were fetched: a frame about what the page has, too, is on its way if it is newer still.
  #markMeanwhile(marks) {
    for (const [id, html] of marks) {
      this.#marks.set(id, html);
    }
    this.#drawMarksOnce();
  }

  // Draws the marks when all rows are there that they may be of.
  #drawMarksOnce() {
    if (this.#frames.length === 0 && !this.#loading) {
      this.#drawMarks();
    }
  }

  /** Begins to fetch the newest requests: what is told from now on is newer than that page. */
  reading() {
    this.#told.clear();
    this.#lost = false;
  }

  /** Whether a removal was told since reading() began: a page fetched since then may count what is gone. */
  get hasLost() {
    return this.#lost;
  }

  /**
   * Shows the marks of a newly fetched page of the newest requests, and removes the rows that it shows to be gone, of those up
   * to the id upTo: what is not on the page, and at the end of the list what is more than is kept, because the oldest go first.
   */
  compare(page, upTo) {
    this.flush();
    const there = new Set([...page.querySelectorAll("#rows > [data-id]")].map((row) => row.dataset.id));
    for (const row of page.querySelectorAll("#rows > [data-id]")) {
      const mark = row.querySelector(".outcome");
      const old = this.row(row.dataset.id)?.querySelector(".outcome");
      if (old && !this.#told.has(row.dataset.id) && !old.isEqualNode(mark)) {
        old.replaceWith(mark);
      }
    }
    const end = page.getElementById("foot").hidden ? "" : [...there].at(-1);
    this.#drop((id) => id <= upTo && id >= end && !there.has(id));
    const known = [...this.rows.querySelectorAll("[data-id]")].map((row) => row.dataset.id).filter((id) => id <= upTo);
    const gone = new Set(known.slice(Number(page.getElementById("scroller").dataset.kept)));
    this.#drop((id) => gone.has(id));
  }

  /** Fetches the rows that a gap stands for, a page of them at a time. Rejects as fetchFragment. */
  async fill(element) {
    if (!element.isConnected) {
      return;
    }
    const above = element.previousElementSibling?.dataset.id;
    const below = element.nextElementSibling?.dataset.id ?? "";
    const meanwhile = { marks: new Map(), gone: [] };
    this.#fetching.add(meanwhile);
    const page = await fetchFragment(`${this.#path}?before=${above}`, "list").finally(() => this.#fetching.delete(meanwhile));
    const all = [...page.querySelectorAll("#rows > [data-id]")];
    const fresh = all.filter((row) => row.dataset.id > below && !this.row(row.dataset.id));
    element.before(...fresh.filter((row) => !meanwhile.gone.some((went) => went(row.dataset.id))));
    this.#markMeanwhile(meanwhile.marks);
    element.dataset.count = String(Math.max(0, Number(element.dataset.count) - fresh.length));
    if (fresh.length < all.length || page.getElementById("foot").hidden || element.dataset.count === "0") {
      element.remove();
    } else {
      label(element);
    }
    this.#trim();
    this.#showRest();
    this.#onDrawn();
  }

  // Once it is calm the list is made whole, as far as it goes.
  async #fillGaps() {
    if (this.#filling || this.#frames.length > 0) {
      return;
    }
    this.#filling = true;
    try {
      let element;
      while ((element = this.rows.querySelector(".gap")) && this.#rowsAbove(element) < mostRows) {
        await this.fill(element);
      }
    } catch {
      // The gap stays, with its button.
    } finally {
      this.#filling = false;
    }
  }

  #rowsAbove(element) {
    let n = 0;
    for (const child of this.rows.children) {
      if (child === element) {
        break;
      }
      n += child.dataset.id ? 1 : 0;
    }
    return n;
  }
}

function gap(leftOut) {
  const element = document.createElement("li");
  element.className = "gap";
  element.dataset.count = String(leftOut);
  const button = document.createElement("button");
  button.type = "button";
  element.append(button);
  label(element);
  return element;
}

function label(element) {
  element.firstElementChild.textContent = `${Number(element.dataset.count).toLocaleString("en")} more arrived: show`;
}

// How many rows a frame has, without parsing it.
function count(frame) {
  return frame.html.split('data-id="').length - 1;
}
