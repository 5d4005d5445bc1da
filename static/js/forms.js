// Forms. Those that change nothing on the page that shows them are sent without leaving it; the others are sent by the browser,
// once it is known that somebody is there to take them: its own error page would have nothing of what was typed.

import { post } from "./fragment.js";
import { announce, say } from "./say.js";

const patience = 10_000; // milliseconds until a server that does not answer counts as gone
const longest = 35_000; // that an answer may take: a test waits for somebody else's server
let sent = new WeakMap(); // form → the press of a button that sends it, until there has been time for an answer
const cleared = new WeakSet(); // forms that go to the server now

/**
 * Sends every form with data-quiet in the background; its button says the word that data-quiet has. Any other form stays where it
 * is, with a message, when the server cannot be reached.
 */
export function startForms() {
  // Who types an address wants it: without this it would be left out unless "Chosen" is selected as well.
  document.getElementById("slug")?.addEventListener("input", () => {
    document.getElementById("chosen").checked = true;
  });
  followTarget(document.getElementById("to"), document.getElementById("target_url"));
  addEventListener("pageshow", ({ persisted }) => persisted && (sent = new WeakMap())); // the way back to a page that was left
  document.addEventListener("input", ({ target: { form } }) => {
    if (sent.get(form)?.isGone) {
      sent.delete(form); // what is typed now was not sent
      form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
    }
  });
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!("quiet" in form.dataset)) {
      sendIfReached(event);
      return;
    }
    event.preventDefault();
    const button = event.submitter ?? form.querySelector("button");
    if (button.ariaDisabled === "true") {
      return; // it is being sent
    }
    button.ariaDisabled = "true"; // a button that is disabled loses the focus
    const taken = await post(form.action, new FormData(form));
    button.ariaDisabled = null;
    if (taken) {
      say(button, form.dataset.quiet);
    } else if (taken === null) {
      say(button, "No answer"); // the browser would show a page of its own instead of this one
    } else {
      form.submit(); // the browser shows what is the matter
    }
  });
}

// Asks for a sign of the server before the browser leaves the page for the answer to a form. Of a form, attributes are read as
// such: form.method is the field with that name when there is one.
async function sendIfReached(event) {
  const { target: form, submitter } = event;
  if (event.defaultPrevented || form.getAttribute("method") !== "post" || cleared.delete(form)) {
    return;
  }
  event.preventDefault();
  if (sent.has(form) && sent.get(form).submitter === submitter) {
    announce("It is being sent"); // pressed twice
    return;
  }
  const press = { submitter, isGone: false };
  sent.set(form, press);
  const reached = await isReached();
  if (sent.get(form) !== press) {
    return; // another button was pressed after it
  }
  form.querySelector(".not-sent")?.remove();
  if (reached) {
    send(form, press);
  } else {
    sent.delete(form);
    showNotSent(form, submitter);
  }
}

// Lets the browser send a form. One whose part of the page was read again meanwhile is sent all the same: somebody has pressed it.
function send(form, press) {
  if (!form.isConnected) {
    form.hidden = true;
    document.body.append(form);
  }
  press.isGone = true;
  showBusy(form, press);
  cleared.add(form);
  form.requestSubmit(press.submitter);
  const refused = cleared.delete(form); // what is not valid any more was not sent
  setTimeout(() => sent.get(form) === press && sent.delete(form), refused ? 0 : patience);
}

// Says on a button that its answer is on the way, when that takes a while.
function showBusy(form, press) {
  const button = press.submitter;
  setTimeout(() => {
    if (button && sent.get(form) === press) {
      button.ariaBusy = "true";
      announce("It is being sent");
      setTimeout(() => (button.ariaBusy = null), longest);
    }
  }, 500);
}

// Any answer will do, the login of a proxy too, but for those of a proxy with nothing behind it.
async function isReached() {
  try {
    const signal = AbortSignal.timeout(patience);
    const { status } = await fetch(document.body.dataset.health, { method: "HEAD", cache: "no-store", redirect: "manual", signal });
    return status < 502 || status > 504;
  } catch {
    return false;
  }
}

function showNotSent(form, submitter) {
  const notice = document.createElement("p");
  notice.className = "problem not-sent";
  notice.setAttribute("role", "alert");
  notice.textContent = "The server cannot be reached: nothing was sent.";
  const actions = submitter?.closest(".actions");
  if (actions && actions !== form && form.contains(actions)) {
    actions.after(notice);
  } else {
    form.append(notice);
  }
  notice.scrollIntoView({ block: "nearest" });
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
