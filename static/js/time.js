// Relative times that stay true. The texts are those of templates/format.go (age, ageLong).

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

// The server's clock minus ours, so that a wrong clock here does not make every request look old.
let skew = 0;

/** Keeps every <time data-ms> of the page true, now and later. */
export function startTimes() {
  skew = Number(document.body.dataset.now) - Date.now() || 0;
  setInterval(() => document.hidden || tick(), 1000);
  document.addEventListener("visibilitychange", () => document.hidden || tick());
  document.addEventListener("pointerover", (event) => addLocalTime(event.target));
}

function tick() {
  const now = Date.now() + skew;
  for (const time of document.querySelectorAll("time[data-ms]")) {
    const seconds = Math.floor((now - Number(time.dataset.ms)) / 1000);
    const text = "long" in time.dataset ? ageLong(seconds) : age(seconds);
    if (text !== undefined && text !== time.textContent) {
      time.textContent = text;
    }
  }
}

/** Returns a short age; undefined from 30 days on, when the date of the server stays. */
export function age(seconds) {
  if (seconds < 1) return "now";
  if (seconds < minute) return `${seconds} s`;
  if (seconds < hour) return `${Math.floor(seconds / minute)} min`;
  if (seconds < day) return `${Math.floor(seconds / hour)} h`;
  if (seconds < 30 * day) return `${Math.floor(seconds / day)} d`;
  return undefined;
}

function ageLong(seconds) {
  if (seconds < 1) return "just now";
  if (seconds < minute) return ago(seconds, "second");
  if (seconds < hour) return ago(Math.floor(seconds / minute), "minute");
  if (seconds < day) return ago(Math.floor(seconds / hour), "hour");
  if (seconds < 30 * day) return ago(Math.floor(seconds / day), "day");
  return undefined;
}

function ago(n, unit) {
  return `${n} ${unit}${n === 1 ? "" : "s"} ago`;
}

// The exact time of the hover is in UTC; the reader's own time is added once somebody points at it.
function addLocalTime(element) {
  const time = element.closest?.("time[data-ms]");
  if (time && !time.dataset.local) {
    time.dataset.local = "1";
    const local = new Date(Number(time.dataset.ms));
    time.title = `${local.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" })}\n${time.title}`;
  }
}
