// Forms that change nothing on the page that shows them are sent without leaving it.

import { post } from "./fragment.js";
import { announce, say } from "./say.js";

/** Sends every form with data-quiet in the background; its button says the word that data-quiet has. */
export function startForms() {
  // Who types an address wants it: without this it would be left out unless "Chosen" is selected as well.
  document.getElementById("slug")?.addEventListener("input", () => {
    document.getElementById("chosen").checked = true;
  });
  followTarget(document.getElementById("to"), document.getElementById("target_url"));
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!("quiet" in form.dataset)) {
      return;
    }
    event.preventDefault();
    const button = event.submitter ?? form.querySelector("button");
    button.disabled = true;
    const taken = await post(form.action, new FormData(form));
    button.disabled = false;
    if (taken) {
      say(button, form.dataset.quiet);
    } else if (taken === null) {
      say(button, "No answer"); // the browser would show a page of its own instead of this one
    } else {
      form.submit(); // the browser shows what is the matter
    }
  });
}

// Who types another URL wants it in place of the subscription that is chosen, which comes back when the URL is emptied.
function followTarget(to, url) {
  let before = "";
  url?.addEventListener("input", () => {
    if (to && url.value !== "" && to.value !== "") {
      before = to.value;
      to.value = "";
      announce(`${to.labels[0].textContent}: ${to.selectedOptions[0].textContent}`);
    } else if (to && url.value === "" && before !== "") {
      to.value = before;
      before = "";
    }
  });
  to?.addEventListener("change", () => (before = ""));
}
