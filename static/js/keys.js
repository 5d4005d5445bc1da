// The keyboard. Single keys work while nobody types, and never with a modifier.

/** Calls the action for a key. Actions are by the key's value, as in KeyboardEvent.key. */
export function startKeys(actions) {
  document.addEventListener("keydown", (event) => {
    const modified = event.ctrlKey || event.metaKey || event.altKey;
    if (modified || event.isComposing || event.defaultPrevented || isTyping(event.target) || somethingIsOpen()) {
      return;
    }
    const action = actions[event.key];
    if (action && action(event) !== false) {
      event.preventDefault();
    }
  });
}

function isTyping(element) {
  return element.isContentEditable || element.matches("textarea, select, input:not([type=checkbox], [type=radio])");
}

function somethingIsOpen() {
  return document.querySelector("dialog[open], [popover]:popover-open") !== null;
}
