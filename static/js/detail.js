// The right side: one request, opened without leaving the page.

import { untilAnswered } from "./again.js";
import { fetchFragment, leave } from "./fragment.js";
import { replaceRegion } from "./regions.js";
import { announce } from "./say.js";

/** What stands on the right side of the inspector. */
export class Detail {
  #main;
  #place = document.getElementById("detail");
  #loading = null; // what is being fetched
  #welcome;
  #onChange;
  #onStale;

  /**
   * onChange is called with the id of the request that is open now, "" when none is; onStale when the server told something of it
   * while it was fetched.
   */
  constructor(main, onChange, onStale) {
    this.#main = main;
    this.#onChange = onChange;
    this.#onStale = onStale;
    this.#welcome = document.getElementById("welcome") ?? document.getElementById("closed")?.content.firstElementChild;
    this.#showTab();
  }

  get path() {
    return this.#main.dataset.path;
  }

  /** The id of the request that is open, "" when none is. */
  get id() {
    return this.article?.dataset.id ?? "";
  }

  get article() {
    return this.#place.querySelector("article");
  }

  /** The query of the tab that is open, for the next request. */
  get tabQuery() {
    const tab = this.article?.dataset.tab ?? "request";
    return tab === "request" ? "" : `?tab=${tab}`;
  }

  /** Opens the request with the id, in the tab that is open now. */
  openID(id) {
    return this.open(`${this.path}/requests/${id}${this.tabQuery}`);
  }

  /**
   * Opens the address of a request, as soon as the server gives it: until then the place says what is the matter. keep leaves the
   * browser's history alone; a newer call ends an older one.
   */
  async open(href, { keep = false } = {}) {
    this.#loading?.controller.abort();
    const loading = { controller: new AbortController(), id: idIn(href), isStale: false };
    this.#loading = loading;
    const { signal } = loading.controller;
    try {
      const fragment = await untilAnswered(() => fetchFragment(href, "detail", signal), {
        signal,
        onFailure: () => this.#showFailure(href, keep),
      });
      if (loading === this.#loading) {
        this.#loading = null;
        this.#show(fragment, href, keep);
        if (loading.isStale) {
          this.#onStale();
        }
      }
    } catch (error) {
      if (!signal.aborted) {
        leave(error);
      }
    }
  }

  /** Takes note of a frame about deliveries: of the request that is being fetched, the answer may be older. */
  onFrame(frame) {
    if (this.#loading && (frame.all || this.#loading.id in frame.marks)) {
      this.#loading.isStale = true;
    }
  }

  // Says that a request could not be loaded: on top of the tab that was left when it is the one that is open, else in its place.
  #showFailure(href, keep) {
    const before = this.#place.querySelector(".not-loaded");
    if (before?.dataset.href === href) {
      announce("Not loaded");
      return;
    }
    before?.remove();
    const id = idIn(href);
    const article = document.getElementById("not-loaded").content.firstElementChild.cloneNode(true);
    const notice = article.querySelector(".not-loaded");
    notice.dataset.href = href;
    notice.querySelector("button").addEventListener("click", () => this.open(href, { keep }));
    if (id === this.id && this.#isLoaded) {
      this.article.querySelector(".tabs-line").after(notice);
      return;
    }
    article.dataset.id = id;
    article.dataset.tab = new URL(href, location.href).searchParams.get("tab") ?? "request";
    this.#place.replaceChildren(article);
    this.#main.toggleAttribute("data-open", true);
    if (!keep) {
      goTo(href);
    }
    this.#place.scrollTop = 0;
    this.#onChange(id);
    if (this.#isAlone()) {
      this.focus();
    }
  }

  // Whether the request that is open is there, and not what stands for it until the server gives it.
  get #isLoaded() {
    return this.#place.querySelector(".tabs-line") !== null;
  }

  #show(fragment, href, keep) {
    const sameRequest = this.#isLoaded && fragment.querySelector("article").dataset.id === this.id;
    const tabHadFocus = this.#place.querySelector(".tabs-line")?.contains(document.activeElement);
    const tryHadFocus = this.#place.querySelector(".not-loaded")?.contains(document.activeElement);
    this.#place.replaceChildren(fragment);
    this.#main.toggleAttribute("data-open", true);
    this.#showTab();
    if (!keep) {
      goTo(href);
    }
    if (!sameRequest) {
      this.#place.scrollTop = 0;
      this.#onChange(this.id);
    }
    if (tabHadFocus) {
      this.#place.querySelector(".tabs-line [aria-current]").focus();
    } else if (tryHadFocus) {
      this.focus();
    } else if (!sameRequest && this.#isAlone()) {
      window.scrollTo(0, 0);
      this.focus();
    }
  }

  // In a narrow window the line of the tabs scrolls sideways: the one that is open is to be seen.
  #showTab() {
    const line = this.#place.querySelector(".tabs-line");
    const tab = line?.querySelector("[aria-current]");
    if (tab) {
      line.scrollLeft = tab.offsetLeft - (line.clientWidth - tab.offsetWidth) / 2;
    }
  }

  // On small screens the request takes the place of the list.
  #isAlone() {
    return getComputedStyle(document.getElementById("list")).display === "none";
  }

  focus() {
    this.#place.querySelector("#request-heading, .not-loaded button")?.focus();
  }

  /** Opens one of the tabs by its number, from 1 on. The focus goes to it: what had it may be gone with the tab before. */
  openTab(n) {
    const tab = this.#place.querySelectorAll(".tabs-line a")[n - 1];
    tab?.focus({ preventScroll: true });
    tab?.click();
  }

  /** Goes to the form that resends the request that is open. */
  async openResend() {
    const { id } = this;
    if (id && !this.#resendForm) {
      await this.open(`${this.path}/requests/${id}?tab=deliveries`);
    }
    if (id === this.id) {
      this.#resendForm?.querySelector("input, select, textarea").focus();
    }
  }

  get #resendForm() {
    return this.#place.querySelector("#resend-form");
  }

  /** Reads the request that is open again, nothing when it is another one by then. */
  async read() {
    const { id } = this;
    if (!this.#place.querySelector("[data-live-region]")) {
      return null; // none is open, or it could not be loaded
    }
    const fresh = await fetchFragment(`${this.path}/requests/${id}${this.tabQuery}`, "detail");
    return id === this.id ? fresh : null;
  }

  /** Puts new buttons into what stands where no request is open. */
  showWelcomeActions(actions) {
    replaceRegion(this.#welcome.querySelector("#welcome-actions"), actions);
  }

  /** Closes the request. keep leaves the browser's history alone. */
  close({ keep = false } = {}) {
    this.#loading?.controller.abort();
    this.#loading = null;
    if (!this.#main.hasAttribute("data-open")) {
      return;
    }
    this.#place.replaceChildren(this.#welcome);
    this.#main.removeAttribute("data-open");
    if (!keep) {
      history.pushState({}, "", this.path);
    }
    this.#onChange("");
  }
}

// The id of the request that an address is of.
function idIn(href) {
  return href.match(/\/requests\/(req_\w+)/)?.[1] ?? "";
}

// Tabs and the way through the list are one step of the history: Back leaves the request.
function goTo(href) {
  history[history.state?.open ? "replaceState" : "pushState"]({ open: true }, "", href);
}
