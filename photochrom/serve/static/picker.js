// Choose the color of a hint: likely ones of that point first, then any.

const $ = (id) => document.getElementById(id);

export class Picker {
  constructor({ onColor, onRemove, onClose }) {
    Object.assign(this, { onColor, onRemove, onClose });
    this.box = $("picker");
    $("picker-color").addEventListener("input", (event) => this.#take(event.target.value));
    $("picker-hex").addEventListener("input", (event) => {
      const text = event.target.value.trim().replace(/^#?/, "#");
      if (/^#[0-9a-f]{6}$/i.test(text)) this.#take(text.toLowerCase(), false);
    });
    $("picker-done").addEventListener("click", () => this.close());
    $("picker-remove").addEventListener("click", () => { this.onRemove(this.hint); this.close(); });
    this.box.addEventListener("keydown", (event) => {
      if (event.key === "Escape" || (event.key === "Enter" && event.target.tagName === "INPUT")) { event.preventDefault(); this.close(); }
      event.stopPropagation();
    });
    document.addEventListener("pointerdown", (event) => {
      if (!this.box.hidden && !this.box.contains(event.target) && !event.target.closest(".mark")) this.close();
    }, true);
  }

  get open() { return !this.box.hidden; }

  /** Show the picker beside an element, for a hint whose likely colors are on their way. */
  async show(hint, beside, suggestions, opener) {
    Object.assign(this, { hint, opener });
    this.box.hidden = false;
    $("suggestions").replaceChildren();
    $("picker-about").textContent = "Likely here";
    this.#mark(hint.color);
    const at = beside.getBoundingClientRect(), { offsetWidth: wide, offsetHeight: high } = this.box;
    const left = at.right + 12 + wide < innerWidth ? at.right + 12 : at.left - 12 - wide;
    this.box.style.left = `${Math.max(8, Math.min(left, innerWidth - wide - 8))}px`;
    this.box.style.top = `${Math.max(8, Math.min(at.top - 40, innerHeight - high - 60))}px`;
    $("picker-hex").focus({ preventScroll: true });
    let likely;
    try {
      likely = await suggestions;
    } catch (error) {
      $("picker-about").textContent = error.message;
      return;
    }
    if (this.hint !== hint || !this.open) return;
    $("suggestions").replaceChildren(...likely.map(({ color, share }) => {
      const button = Object.assign(document.createElement("button"), { type: "button", title: `${color}, ${Math.round(100 * share)} % likely` });
      button.setAttribute("aria-label", `${color}, ${Math.round(100 * share)} percent likely`);
      button.style.setProperty("--chip", color);
      button.dataset.color = color;
      button.addEventListener("click", () => this.#take(color));
      return button;
    }));
    if (!likely.length) $("picker-about").textContent = "No color is likely here.";
    this.#mark(hint.color);
    if (document.activeElement === $("picker-hex") && $("picker-hex").value === hint.color) $("suggestions").querySelector("button")?.focus({ preventScroll: true });
  }

  close() {
    if (!this.open) return;
    this.box.hidden = true;
    const { opener } = this;
    this.hint = null;
    this.onClose(opener);
  }

  #take(color, typed = true) {
    this.onColor(this.hint, color);
    this.#mark(color, typed);
  }

  #mark(color, text = true) {
    $("picker-color").value = color;
    if (text) $("picker-hex").value = color;
    for (const button of $("suggestions").children) button.setAttribute("aria-pressed", String(button.dataset.color === color));
  }
}
