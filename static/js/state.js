// What a page says of its connection, and of what it could not get.

const words = { live: "Live", reconnecting: "Reconnecting", paused: "List paused", offline: "Offline", late: "Not up to date" };

let shown = null; // state and detail that the page's socket last had
let isLate = false;

/** Says the state of the page's socket in the place that the page has for it. */
export function showState(state, detail = "") {
  shown = { state, detail };
  draw();
}

/** Says that a part of the page could not be read, though the socket may be open: it is tried again. */
export function showLate(late) {
  if (late !== isLate) {
    isLate = late;
    draw();
  }
}

function draw() {
  const place = document.getElementById("live");
  if (!place || !shown) {
    return;
  }
  const connected = shown.state === "live" || shown.state === "paused";
  const { state, detail } = isLate && connected ? { state: "late", detail: "" } : shown;
  const text = detail ? `${words[state]} · ${detail}` : words[state];
  if (place.dataset.state !== state || place.textContent !== text) {
    place.dataset.state = state;
    place.textContent = text;
    place.title = state === "late" ? "The server did not answer; the page asks again by itself" : "";
    place.hidden = false;
  }
}

/** Shows or removes the message that something is wrong with the server or the page. */
export function showTrouble(title, message) {
  const place = document.getElementById("degraded");
  place.replaceChildren();
  if (message) {
    const banner = document.createElement("p");
    banner.className = "banner trouble";
    const strong = document.createElement("strong");
    strong.textContent = title;
    banner.append(strong, ` ${message}`);
    place.append(banner);
  }
}
