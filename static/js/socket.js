// The one socket of a page: connected again whenever it is lost, from the last thing that was seen.

import { tryAgain } from "./again.js";

const firstPause = 500; // milliseconds before the first new try; each further one waits twice as long
const longestPause = 15_000;
const visibleEvery = 60_000; // how often the server is told that somebody looks: it counts as use of the session
const heartbeat = 5_000;
const sleptAfter = { visible: 15_000, hidden: 150_000 }; // hidden pages have slow timers

// Why a socket was closed.
const normal = 1000;
const restart = 1001;
const sessionEnded = 1008;
const tooSlow = 1013;
const gone = 4404;

/**
 * Keeps a socket open. It calls onFrame with each frame, onState with "live", "reconnecting" or "offline", and onOpen each
 * time it is open: what happened before, since the page was made or the socket was lost, was told to nobody.
 */
export class Socket {
  #path;
  #after;
  #onFrame;
  #onState;
  #onOpen;
  #socket = null;
  #timer = 0;
  #failures = 0;
  #lastBeat = Date.now();
  #lastVisible = 0;
  #ended = false;

  /** after() returns the last id that the page knows, "" when it needs none. */
  constructor(path, { after = () => "", onFrame, onState, onOpen }) {
    this.#path = path;
    this.#after = after;
    this.#onFrame = onFrame;
    this.#onState = onState;
    this.#onOpen = onOpen;
    addEventListener("online", () => this.#reconnect(0));
    addEventListener("offline", () => this.#drop("offline"));
    addEventListener("pageshow", (event) => event.persisted && this.#reconnect(0));
    addEventListener("pagehide", () => this.#drop("reconnecting"));
    document.addEventListener("visibilitychange", () => this.#beat());
    setInterval(() => this.#beat(), heartbeat);
    this.#connect();
  }

  /** Closes the socket for good. */
  end() {
    this.#ended = true;
    this.#drop("offline");
  }

  #connect() {
    clearTimeout(this.#timer);
    const address = new URL(this.#path, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const after = this.#after();
    if (after) {
      address.searchParams.set("after", after);
    }
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.onopen = () => {
      this.#failures = 0;
      this.#onState("live");
      tryAgain();
      this.#onOpen();
      this.#lastVisible = 0;
      this.#tellVisible();
    };
    socket.onmessage = (event) => this.#onFrame(JSON.parse(event.data));
    socket.onclose = (event) => this.#closed(socket, event.code);
  }

  #closed(socket, code) {
    if (socket !== this.#socket || this.#ended) {
      return; // one that was given up before
    }
    this.#socket = null;
    switch (code) {
      case sessionEnded:
        location.reload();
        return;
      case normal:
      case gone:
        this.end();
        return;
      case tooSlow:
        this.#reconnect(300);
        return;
      case restart:
        this.#reconnect(2_000);
        return;
    }
    this.#failures++;
    this.#reconnect(Math.min(longestPause, firstPause * 2 ** this.#failures));
    if (this.#failures > 1) {
      this.#checkLogin();
    }
  }

  // Connects within the pause, at a random moment of it: after a restart not all pages come back at once.
  #reconnect(pause) {
    if (this.#ended) {
      return;
    }
    this.#drop(navigator.onLine ? "reconnecting" : "offline");
    if (navigator.onLine) {
      this.#timer = setTimeout(() => this.#connect(), pause * (0.3 + 0.7 * Math.random()));
    }
  }

  #drop(state) {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#onState(state);
  }

  // A browser does not tell a script why an upgrade was refused. A page that answers with a redirect is the login.
  async #checkLogin() {
    try {
      const response = await fetch(location.href, { method: "HEAD", redirect: "manual" });
      if (response.type === "opaqueredirect") {
        location.reload();
      }
    } catch {
      // The server is away: the next try comes anyway.
    }
  }

  // A gap between two beats means that the machine slept: the connection may be dead without knowing it.
  #beat() {
    const now = Date.now();
    const slept = now - this.#lastBeat > (document.hidden ? sleptAfter.hidden : sleptAfter.visible);
    this.#lastBeat = now;
    if (slept && this.#socket) {
      this.#reconnect(0);
      return;
    }
    this.#tellVisible();
  }

  #tellVisible() {
    const now = Date.now();
    if (document.hidden || this.#socket?.readyState !== WebSocket.OPEN || now - this.#lastVisible < visibleEvery) {
      return;
    }
    this.#lastVisible = now;
    this.#socket.send('{"type":"visible"}');
  }
}
