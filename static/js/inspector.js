// The page of one capture URL: what arrives, what is open, and what the reader has seen.

import { Reading, untilAnswered } from "./again.js";
import { copyFor } from "./copy.js";
import { Detail } from "./detail.js";
import { fetchFragment, leave, post } from "./fragment.js";
import { startKeys } from "./keys.js";
import { RequestList } from "./list.js";
import { Regions, replaceRegion } from "./regions.js";
import { announce } from "./say.js";
import { Selection } from "./select.js";
import { Socket } from "./socket.js";
import { showState, showTrouble } from "./state.js";

const seenAfter = 10_000; // milliseconds that new rows stand before a reader's eyes before they count as seen
const keyPause = 60; // milliseconds: a key that is held down opens only where it stops

/** Starts the inspector, on the page that has it. */
export function startInspector() {
  const main = document.querySelector("main.inspector");
  if (main) {
    new Inspector(main).start();
  }
}

class Inspector {
  #main;
  #path;
  #list;
  #detail;
  #deliveries; // those of the request that is open
  #selection;
  #reading = new Reading(() => this.#readAgain());
  #socket;
  #state = "reconnecting";
  #name;
  #title = ""; // of the document, without the number of what is new
  #latest; // id of the newest request the page knows of
  #received; // requests ever received, as far as the page knows
  #shown; // #received when the list last had all of them
  #seen; // #received when the reader last had all of them before the eyes
  #moved; // the reader is busy with the list: it must not jump
  #paused = false;
  #seenTimer = 0;
  #keyTimer = 0;

  constructor(main) {
    this.#main = main;
    this.#path = main.dataset.path;
    this.#name = main.dataset.name;
    this.#latest = main.dataset.latest;
    this.#list = new RequestList(this.#path, () => this.#drawn());
    this.#detail = new Detail(main, (id) => this.#opened(id), () => this.#deliveries.refresh());
    this.#deliveries = new Regions(document.getElementById("detail"), () => this.#detail.read());
    this.#selection = new Selection(this.#list);
    this.#received = Number(this.#list.scroller.dataset.received);
    this.#shown = this.#received;
    this.#seen = this.#received;
    this.#moved = this.#detail.id !== "";
  }

  start() {
    this.#socket = new Socket(document.getElementById("live").dataset.socket, {
      after: () => this.#latest,
      onFrame: (frame) => this.#onFrame(frame),
      onState: (state) => {
        this.#state = state;
        this.#showState();
      },
      onOpen: () => this.#reload(),
    });
    document.addEventListener("click", (event) => this.#onClick(event));
    document.addEventListener("submit", (event) => this.#onSubmit(event));
    document.addEventListener("focusin", (event) => this.#onFocus(event.target));
    document.addEventListener("scroll", () => this.#onScroll(), { capture: true, passive: true });
    document.addEventListener("visibilitychange", () => this.#onVisible());
    addEventListener("popstate", () => this.#onPopState());
    this.#startKeys();
    this.#markOpen();
    this.#list.row(this.#detail.id)?.scrollIntoView({ block: "center" });
    this.#waitForSeen();
    this.#setTitle();
  }

  // ---- What the server tells ----

  #onFrame(frame) {
    switch (frame.type) {
      case "rows":
        this.#onRows(frame);
        break;
      case "removed":
        this.#list.remove((id) => frame.ids.includes(id), frame.kept);
        this.#list.showKept(frame.kept, this.#waiting);
        break;
      case "pruned":
        this.#list.remove((id) => id <= frame.up_to, frame.kept);
        this.#list.showKept(frame.kept, this.#waiting);
        break;
      case "reset":
        this.#onReset();
        break;
      case "deliveries":
        this.#list.mark(frame.marks);
        this.#detail.onFrame(frame);
        this.#deliveries.onFrame(frame);
        break;
      case "changed":
        this.#reload();
        break;
      case "deleted":
        this.#socket.end();
        showTrouble("Deleted", "This capture URL is gone, and its requests with it.");
        break;
      case "degraded":
        showTrouble("Degraded", frame.message);
        break;
    }
  }

  #onRows(frame) {
    this.#latest = later(this.#latest, later(frame.first, frame.last));
    this.#received = Math.max(this.#received, frame.received);
    if (this.#isFollowing) {
      this.#shown = this.#received;
      this.#list.add(frame);
    }
    this.#list.showKept(frame.kept, this.#waiting);
    this.#waitForSeen();
    this.#showNews();
  }

  // Too much has happened to be told row by row.
  #onReset() {
    if (this.#isFollowing) {
      this.#showNewest();
      return;
    }
    this.#shown = Math.min(this.#shown, this.#received - 1);
    this.#showNews();
  }

  // The capture URL was changed, or the socket has just been opened: what was deleted or delivered before was told to nobody.
  #reload() {
    this.#deliveries.refresh();
    this.#reading.run();
  }

  async #readAgain() {
    const upTo = this.#latest;
    this.#list.reading();
    const page = await fetchFragment(this.#path, "list");
    this.#showAddress(page.getElementById("address"));
    this.#detail.showWelcomeActions(page.getElementById("welcome-actions"));
    this.#list.compare(page, upTo);
    const isCurrent = upTo === this.#latest && !this.#list.hasLost;
    // A frame that came meanwhile may be newer than the page, and the address bar has just got the number of the page.
    const kept = isCurrent ? Number(page.getElementById("scroller").dataset.kept) : this.#list.kept;
    this.#list.showKept(kept, this.#waiting);
  }

  #showAddress(address) {
    replaceRegion(document.getElementById("address"), address);
    this.#name = address.dataset.name;
    document.querySelector("[data-crumb]").textContent = this.#name;
    document.querySelector("h1").textContent = this.#name;
    this.#setTitle();
  }

  // ---- What is new ----

  get #isFollowing() {
    return this.#list.isNewest && !this.#moved && !this.#paused;
  }

  // How many requests have arrived since the list last had all of them.
  get #waiting() {
    return this.#isFollowing ? 0 : Math.max(0, this.#received - this.#shown);
  }

  // Says what has arrived since the reader last had all of it: on the pill, in the state and in the title.
  #showNews() {
    const waiting = this.#waiting;
    const pill = document.getElementById("pill");
    const hidden = waiting === 0 || this.#paused;
    if (pill.hidden && !hidden) {
      announce("New requests"); // once, not with each of them
    }
    pill.hidden = hidden;
    pill.textContent = `${waiting.toLocaleString("en")} new ↑`;
    this.#showState();
    if (this.#isFollowing && !document.hidden) {
      this.#seen = this.#received;
    }
    this.#showTitle();
  }

  #showState() {
    if (this.#state !== "live" || !this.#paused) {
      showState(this.#state);
      return;
    }
    const waiting = this.#waiting;
    showState("paused", waiting > 0 ? `${waiting.toLocaleString("en")} new` : "");
  }

  #setTitle() {
    const request = this.#detail.article?.dataset.title;
    this.#title = request ? `${request} · ${this.#name}` : this.#name;
    this.#showTitle();
  }

  #showTitle() {
    const unseen = this.#received - this.#seen;
    const title = `${unseen > 0 ? `(${unseen.toLocaleString("en")}) ` : ""}${this.#title} · Hookkeeper`;
    if (document.title !== title) {
      document.title = title;
    }
  }

  #drawn() {
    const empty = this.#isEmpty;
    this.#main.toggleAttribute("data-empty", empty);
    document.getElementById("no-rows").hidden = !empty;
    document.getElementById("clear").hidden = empty;
    document.getElementById("select").hidden = empty;
    this.#selection.drawn();
    this.#showWelcome();
    document.getElementById("seen").hidden = !this.#list.rows.querySelector(".unread");
    this.#markOpen();
  }

  get #isEmpty() {
    return this.#list.kept === 0 && !this.#list.first;
  }

  #showWelcome() {
    for (const part of this.#main.querySelectorAll("[data-when]")) {
      part.hidden = (part.dataset.when === "empty") !== this.#isEmpty;
    }
  }

  // Fetches the newest requests and follows them from now on.
  async #showNewest() {
    this.#moved = false;
    await this.#showList("");
    this.#list.scroller.scrollTop = 0;
    this.#latest = later(this.#latest, this.#list.first);
  }

  async #showList(query) {
    try {
      const page = await this.#list.show(query);
      if (page === undefined) {
        return;
      }
      this.#received = Math.max(this.#received, page.received);
      if (this.#list.isNewest) {
        this.#shown = this.#isFollowing ? this.#received : page.received;
      } else if (page.leftOut) {
        this.#shown = Math.min(this.#shown, this.#received - 1);
      }
      this.#showNews();
      this.#waitForSeen();
    } catch (error) {
      leave(error);
    }
  }

  #togglePause() {
    this.#paused = !this.#paused;
    const button = document.getElementById("pause");
    button.setAttribute("aria-pressed", String(this.#paused));
    button.textContent = this.#paused ? "Resume list" : "Pause list";
    if (this.#paused) {
      clearTimeout(this.#seenTimer);
      this.#list.flush();
      this.#showNews();
    } else if (this.#selection.isOn) {
      this.#moved = true;
      this.#showNews();
    } else {
      this.#showNewest();
    }
  }

  // Who selects points at rows: they must not move.
  #select(on) {
    this.#moved ||= on;
    this.#selection.show(on);
    if (!on) {
      document.getElementById("select").focus({ preventScroll: true });
    }
  }

  #selectRow() {
    const id = document.activeElement.closest?.(".request-row")?.dataset.id ?? this.#detail.id;
    if (!this.#selection.isOn) {
      this.#select(true);
    }
    this.#selection.toggle(this.#list.row(id));
  }

  // ---- What the reader has seen ----

  // New rows count as seen once they have stood before the reader's eyes for a while.
  #waitForSeen() {
    clearTimeout(this.#seenTimer);
    if (!document.hidden && this.#isFollowing) {
      this.#seenTimer = setTimeout(() => this.#markSeen(), seenAfter);
    }
  }

  async #markSeen() {
    if (!this.#list.rows.querySelector(".unread") || !(await post(`${this.#path}/seen`, { up_to: this.#list.first }))) {
      return;
    }
    for (const row of this.#list.rows.querySelectorAll(".unread")) {
      markRead(row);
    }
    this.#drawn();
  }

  // ---- What the reader does ----

  #opened(id) {
    this.#moved = id !== "" || this.#isHeld;
    this.#markOpen();
    this.#showWelcome();
    this.#setTitle();
    if (!this.#moved && this.#shown < this.#received) {
      this.#showNewest();
    } else {
      this.#showNews();
    }
  }

  #markOpen() {
    for (const link of this.#list.rows.querySelectorAll("[aria-current]")) {
      link.removeAttribute("aria-current");
    }
    const row = this.#list.row(this.#detail.id);
    if (row) {
      row.querySelector("a").setAttribute("aria-current", "true");
      markRead(row);
    }
  }

  #onClick(event) {
    const target = event.target.closest?.("a, button");
    if (!target || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) {
      return;
    }
    const action = this.#actionOf(target);
    if (action) {
      event.preventDefault();
      action();
    }
  }

  #actionOf(target) {
    if (target.closest(".gap")) {
      return () => untilAnswered(() => this.#list.fill(target.closest(".gap"))).catch(leave);
    }
    if ("resend" in target.dataset) {
      return () => this.#detail.openResend();
    }
    if (target.closest(".request-row") || target.matches(".tabs-line a, [data-tab], [data-open]")) {
      return () => this.#openLink(target);
    }
    if ("list" in target.dataset) {
      return () => {
        this.#moved = true;
        this.#showList(new URL(target.href).search).then(() => (this.#list.scroller.scrollTop = 0));
      };
    }
    if ("close" in target.dataset) {
      return () => this.#close();
    }
    return {
      pill: () => this.#showNewest(),
      pause: () => this.#togglePause(),
      select: () => this.#select(!this.#selection.isOn),
      "select-all": () => this.#selection.toggleAll(),
      "select-end": () => this.#select(false),
    }[target.id];
  }

  #openLink(link) {
    const id = link.closest(".request-row")?.dataset.id;
    if (!id) {
      return this.#detail.open(link.href);
    }
    return id === this.#detail.id ? this.#detail.focus() : this.#detail.openID(id);
  }

  #close() {
    const row = this.#list.row(this.#detail.id);
    this.#detail.close();
    row?.querySelector("a").focus({ preventScroll: true });
    this.#moved = this.#isHeld; // the focus came back to the list by itself
    this.#showNews();
  }

  async #onSubmit(event) {
    if (event.target.id === "seen") {
      event.preventDefault();
      await this.#markSeen();
    }
  }

  // Who has come to a row with the keyboard reads it: it must not move away.
  #onFocus(target) {
    if (this.#list.rows.contains(target) && target.matches(":focus-visible")) {
      this.#moved = true;
    }
  }

  // Whether the list has to stay where it is, with no request open.
  get #isHeld() {
    return this.#isScrolled || this.#selection.isOn;
  }

  get #isScrolled() {
    const { scroller, rows } = this.#list;
    const top = Math.max(0, scroller.getBoundingClientRect().top);
    return rows.getBoundingClientRect().top < top - 8;
  }

  #onScroll() {
    if (this.#isScrolled) {
      this.#moved = true;
      clearTimeout(this.#seenTimer);
    } else if (this.#moved && this.#detail.id === "" && this.#list.isNewest && !this.#paused && !this.#selection.isOn) {
      this.#moved = false;
      if (this.#shown < this.#received) {
        this.#showNewest();
      }
      this.#waitForSeen();
    }
  }

  #onVisible() {
    if (document.hidden) {
      clearTimeout(this.#seenTimer);
      return;
    }
    this.#list.flush();
    this.#showNews();
    this.#waitForSeen();
  }

  #onPopState() {
    const id = location.pathname.slice(this.#path.length).match(/^\/requests\/(req_\w+)$/)?.[1];
    if (id) {
      this.#detail.open(location.href, { keep: true });
    } else {
      this.#detail.close({ keep: true });
    }
  }

  #startKeys() {
    const help = document.getElementById("keys");
    const showHelp = () => help.showModal();
    for (const button of document.querySelectorAll("[data-help]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        document.getElementById("account").hidePopover();
        showHelp();
      });
    }
    const keys = {
      j: () => this.#step(1),
      k: () => this.#step(-1),
      n: () => this.#showNewest(),
      p: () => this.#togglePause(),
      c: () => this.#copyCurl(),
      x: () => this.#selectRow(),
      r: () => this.#selection.resend() || this.#detail.openResend(),
      Enter: (event) => this.#enter(event),
      Escape: () => (this.#selection.isOn ? this.#select(false) : this.#close()),
      "?": showHelp,
    };
    for (let n = 1; n <= 7; n++) {
      keys[n] = () => this.#detail.openTab(n);
    }
    startKeys(keys);
  }

  // Goes to the next or the previous row and opens it where the key stops.
  #step(steps) {
    const focused = document.activeElement.closest?.(".request-row")?.dataset.id;
    const row = this.#list.neighbour(focused ?? this.#detail.id, steps);
    if (!row) {
      return;
    }
    this.#moved = true;
    const link = row.querySelector("a");
    link.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
    clearTimeout(this.#keyTimer);
    this.#keyTimer = setTimeout(() => this.#openLink(link), keyPause);
  }

  #enter(event) {
    const { target } = event;
    if (target !== document.body && target.matches("a, button, summary, input")) {
      return false; // it has a meaning of its own
    }
    this.#detail.focus();
    return true;
  }

  #copyCurl() {
    const button = this.#detail.article?.querySelector("[data-copy-tab]");
    if (button) {
      copyFor(button);
    }
  }
}

// Ids have the order of time, as text too.
function later(a, b) {
  return a > b ? a : b;
}

function markRead(row) {
  row.classList.remove("unread");
  row.querySelector(".dot")?.remove();
  row.querySelector(".unread-word")?.remove();
}
