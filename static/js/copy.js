// Copying: data-copy has the text itself, data-copy-from an address to fetch it from, data-copy-tab a tab of the
// request whose text it is.

import { ask, fetchFragment, Moved } from "./fragment.js";
import { say } from "./say.js";

/** Makes every copy button of the page work, those that come later too. */
export function startCopying() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy], [data-copy-from], [data-copy-tab]");
    if (button) {
      event.preventDefault();
      copyFor(button);
    }
    event.target.closest?.("[data-select]")?.select();
  });
}

/** Copies what the button is for and says on it whether that worked. */
export async function copyFor(button) {
  try {
    await copy(await textFor(button));
    say(button, "Copied");
  } catch (error) {
    if (error instanceof Moved) {
      location.reload(); // the page says what has become of it
      return;
    }
    say(button, "Not copied");
  }
}

async function textFor(button) {
  const { copy: text, copyFrom, copyTab } = button.dataset;
  if (text !== undefined) {
    return text;
  }
  if (copyTab) {
    const tab = await fetchFragment(button.href, "detail");
    return tab.querySelector("[data-text]").textContent;
  }
  const response = await ask(copyFrom);
  return response.text();
}

// The clipboard API is there on HTTPS and localhost only; a selected textarea works on plain HTTP as well.
async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr-only";
  (focused?.closest("dialog, [popover]") ?? document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  focused?.focus({ preventScroll: true });
  if (!copied) {
    throw new Error("the browser does not let us copy");
  }
}
