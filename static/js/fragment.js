// HTML from the server goes into the page here and nowhere else.

// The one Trusted Types policy that the Content-Security-Policy allows. What it lets through comes from our own
// templates, which have escaped whatever strangers sent.
const policy = globalThis.trustedTypes?.createPolicy("hookkeeper", { createHTML: (html) => html }) ?? {
  createHTML: (html) => html,
};

/** Returns the nodes of some HTML. They are parsed in a document without a window: nothing in them runs or loads. */
export function parse(html) {
  const inert = new DOMParser().parseFromString(policy.createHTML(`<template>${html}</template>`), "text/html");
  return inert.querySelector("template").content;
}

const patience = 30_000; // milliseconds: an answer that has not come by then is not waited for
const final = [401, 403, 404, 410]; // statuses that no further try changes

/** Fetches a part of a page: "detail" or "list" of the inspector, "regions" of other pages. Rejects as ask. */
export async function fetchFragment(url, name, signal) {
  const response = await ask(url, { headers: { "Hookkeeper-Fragment": name }, signal });
  return parse(await whole(response, signal));
}

/**
 * Fetches an address. The promise rejects with a Moved when the page has to be loaded as a whole instead, because what it
 * asks for is gone or the login has ended, and with an Unanswered when the server is not there or has too much to do: the page
 * that stands is better than an error page, and loading all of it is more work than what was asked for.
 */
export async function ask(url, { headers, signal } = {}) {
  const limit = AbortSignal.timeout(patience);
  let response;
  try {
    response = await fetch(url, { headers, redirect: "manual", signal: signal ? AbortSignal.any([signal, limit]) : limit });
  } catch (error) {
    throw signal?.aborted ? error : new Unanswered();
  }
  if (response.type === "opaqueredirect" || final.includes(response.status)) {
    throw new Moved(url);
  }
  if (!response.ok) {
    throw new Unanswered(response.status, retryAfter(response));
  }
  return response;
}

// The text of an answer, which may end in the middle.
async function whole(response, signal) {
  try {
    return await response.text();
  } catch (error) {
    throw signal?.aborted ? error : new Unanswered();
  }
}

// Retry-After in milliseconds, 0 when there is none: seconds, or a date.
function retryAfter(response) {
  const value = response.headers.get("Retry-After") ?? "";
  return (/^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()) || 0;
}

/** Says that an address has to be opened by the browser itself, which then shows what is the matter. */
export class Moved extends Error {
  constructor(url) {
    super(`cannot be shown in place: ${url}`);
    this.url = url;
  }
}

/** Says that there was no answer, or one that another try may change: status is 0 when the server was not there. */
export class Unanswered extends Error {
  /** wait is how many milliseconds the server wants to be left alone. */
  constructor(status = 0, wait = 0) {
    super(status ? `answered ${status}` : "not answered");
    this.status = status;
    this.wait = wait;
  }
}

/** Goes where a Moved leads. Anything else that went wrong is thrown, but for what was given up. */
export function leave(error) {
  if (error instanceof Moved) {
    const to = new URL(error.url, location.href);
    if (to.href.includes("#") && to.href === location.href) {
      location.reload(); // going there would only scroll
    } else {
      location.assign(to);
    }
  } else if (error.name !== "AbortError") {
    throw error;
  }
}

/** Sends a form to the server and returns whether it was taken, null when there was no answer. */
export async function post(url, fields = {}) {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Hookkeeper-Fragment": "none" },
      body: new URLSearchParams(fields),
      redirect: "manual",
      signal: AbortSignal.timeout(patience),
    });
    return response.ok;
  } catch {
    return null;
  }
}
