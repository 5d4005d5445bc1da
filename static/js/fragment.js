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

/**
 * Fetches a part of a page: "detail" or "list" of the inspector. The promise rejects with a Moved when the page has to
 * be loaded as a whole instead: it is gone, the login has ended, the server is not there.
 */
export async function fetchFragment(url, name, signal) {
  let response;
  try {
    response = await fetch(url, { headers: { "Hookkeeper-Fragment": name }, redirect: "manual", signal });
  } catch (error) {
    throw signal?.aborted ? error : new Moved(url);
  }
  if (!response.ok) {
    throw new Moved(url);
  }
  return parse(await response.text());
}

/** Says that an address has to be opened by the browser itself, which then shows what is the matter. */
export class Moved extends Error {
  constructor(url) {
    super(`cannot be shown in place: ${url}`);
    this.url = url;
  }
}

/** Sends a form to the server and returns whether it was taken. */
export async function post(url, fields = {}) {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Hookkeeper-Fragment": "none" },
      body: new URLSearchParams(fields),
      redirect: "manual",
    });
    return response.ok;
  } catch {
    return false;
  }
}
