// Short words for the reader: on the button that was pressed, and for those who listen to the page.

const shownFor = 1500; // milliseconds that a button says what it did

/** Shows a word on a button for a moment, and tells it to screen readers. */
export function say(button, word) {
  button.dataset.label ??= button.textContent;
  button.style.minWidth = `${button.offsetWidth}px`;
  button.textContent = word;
  button.classList.add("done");
  announce(word);
  clearTimeout(Number(button.dataset.timer));
  button.dataset.timer = String(setTimeout(() => {
    button.textContent = button.dataset.label;
    button.classList.remove("done");
    button.style.minWidth = "";
  }, shownFor));
}

/** Tells a word to screen readers, when they are done with what they say. */
export function announce(word) {
  const region = document.getElementById("said");
  region.textContent = "";
  requestAnimationFrame(() => (region.textContent = word));
}
