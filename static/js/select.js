// Rows of the list that are chosen, to be resent together.

/** Lets the reader choose rows of a RequestList. */
export class Selection {
  #list;
  #form = document.getElementById("selection");
  #button = document.getElementById("select");
  #most = Number(this.#form.dataset.most);
  #ids = new Set(); // of the rows that were chosen: a list that is fetched again has rows without boxes

  constructor(list) {
    this.#list = list;
    this.#form.addEventListener("submit", (event) => this.#chosen.length > 0 || event.preventDefault());
    list.scroller.parentElement.addEventListener("change", (event) => {
      if (event.target.matches(".pick")) {
        this.#pick(event.target, event.target.checked);
      }
    });
  }

  get isOn() {
    return !this.#form.hidden;
  }

  get #boxes() {
    return [...this.#list.rows.querySelectorAll(".pick")];
  }

  get #chosen() {
    return this.#boxes.filter((box) => box.checked);
  }

  /** Shows the boxes, or takes them away. */
  show(on) {
    this.#form.hidden = !on;
    this.#button.setAttribute("aria-pressed", String(on));
    this.#ids.clear();
    for (const box of this.#boxes) {
      box.remove();
    }
    this.drawn();
  }

  /** Gives a box to rows that have come. */
  drawn() {
    if (!this.isOn) {
      return;
    }
    for (const row of this.#list.rows.querySelectorAll("[data-id]")) {
      if (!row.querySelector(".pick")) {
        row.prepend(box(row, this.#ids.has(row.dataset.id)));
      }
    }
    this.#count();
  }

  /** Chooses a row, or takes it back. */
  toggle(row) {
    const pick = row?.querySelector(".pick");
    if (pick) {
      this.#pick(pick, !pick.checked);
    }
  }

  /** Chooses all rows that are there, or none when all are. */
  toggleAll() {
    const on = this.#chosen.length < Math.min(this.#boxes.length, this.#most);
    for (const pick of this.#boxes) {
      this.#pick(pick, on);
    }
  }

  /** Goes on to what is resent, and where; returns whether any row is chosen. */
  resend() {
    const any = this.isOn && this.#chosen.length > 0;
    if (any) {
      this.#form.querySelector("[type=submit]").click();
    }
    return any;
  }

  #pick(pick, on) {
    pick.checked = on;
    if (this.#chosen.length > this.#most) {
      pick.checked = false;
    }
    this.#ids[pick.checked ? "add" : "delete"](pick.value);
    this.#count();
  }

  #count() {
    const n = this.#chosen.length;
    document.getElementById("selected").textContent = n < this.#most ? `${n} selected` : `${n} selected, the most at once`;
    this.#form.querySelector("[type=submit]").disabled = n === 0;
  }
}

function box(row, checked) {
  const pick = document.createElement("input");
  pick.type = "checkbox";
  pick.className = "check pick";
  pick.name = "request";
  pick.value = row.dataset.id;
  pick.checked = checked;
  pick.setAttribute("form", "selection");
  const [method, target] = [".method", ".target"].map((part) => row.querySelector(part).textContent.trim());
  pick.setAttribute("aria-label", `Select ${method} ${target}`);
  return pick;
}
