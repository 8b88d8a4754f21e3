// The stage: zoom, pan, the slider between before and after, and the points of hints.

import { makeScreen } from "./screen.js";

const $ = (id) => document.getElementById(id);
const CLICK = 5; // pixels that a pointer may move in a click
const FIT_MARGIN = 16;

export class Stage {
  constructor({ onPoint, onMove, onOpen, onRemove }) {
    Object.assign(this, { onPoint, onMove, onOpen, onRemove });
    this.element = $("stage");
    this.canvas = $("canvas");
    this.screen = makeScreen(this.canvas);
    this.split = 0;
    this.overlay = false;
    this.photograph = null;
    this.view = { x: 0, y: 0, scale: 1, fit: true };
    this.pointers = new Map();
    new ResizeObserver(() => this.#resize()).observe(this.element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.#listen();
  }

  get side() { return Math.min(this.screen.most, 8192); }

  show(photograph) {
    this.photograph = photograph;
    this.upload();
    this.fit();
  }

  /** Bring what the photograph has now to the screen. */
  upload() {
    const { photograph: shown, screen } = this;
    if (shown?.luma && this.luma !== shown.luma) screen.setLuma(this.luma = shown.luma);
    if (screen.shader) { if (this.model !== shown?.model) screen.setModel(this.model = shown?.model ?? null); }
    else screen.setPicture(shown?.picture ?? null);
    if (this.doubt !== shown?.doubt) screen.setDoubt(this.doubt = shown?.doubt ?? null);
    this.draw();
  }

  draw() { this.frame ??= requestAnimationFrame(() => { this.frame = null; this.#paint(); }); }

  get size() { return this.photograph?.info ? [this.photograph.info.width, this.photograph.info.height] : [1, 1]; }

  fit() {
    const [wide, high] = this.size, { clientWidth, clientHeight } = this.element;
    const scale = Math.min((clientWidth - 2 * FIT_MARGIN) / wide, (clientHeight - 2 * FIT_MARGIN) / high);
    this.view = { scale: Math.max(scale, 1e-3), x: (clientWidth - wide * scale) / 2, y: (clientHeight - high * scale) / 2, fit: true };
    this.draw();
  }

  zoom(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    const [wide, high] = this.size;
    const least = Math.min(this.element.clientWidth / wide, this.element.clientHeight / high, 1) / 2;
    const scale = Math.max(least, Math.min(this.view.scale * factor, 16));
    const ratio = scale / this.view.scale;
    this.#look({ scale, x: x - (x - this.view.x) * ratio, y: y - (y - this.view.y) * ratio });
  }

  pan(x, y) { this.#look({ ...this.view, x: this.view.x + x, y: this.view.y + y }); }

  #look({ scale, x, y }) {
    const [wide, high] = this.size, { clientWidth, clientHeight } = this.element, rest = 60;
    this.view = {
      scale, fit: false,
      x: Math.max(rest - wide * scale, Math.min(x, clientWidth - rest)),
      y: Math.max(rest - high * scale, Math.min(y, clientHeight - rest)),
    };
    this.draw();
  }

  setSplit(part) {
    this.split = Math.max(0, Math.min(1, part));
    const percent = Math.round(100 * this.split);
    $("divider").setAttribute("aria-valuenow", percent);
    $("divider").setAttribute("aria-valuetext", `${percent} percent before, ${100 - percent} percent after`);
    this.draw();
  }

  /** Give the photograph's pixel under a place of the stage; null outside. */
  pixel(x, y) {
    const [wide, high] = this.size;
    const column = Math.floor((x - this.view.x) / this.view.scale), row = Math.floor((y - this.view.y) / this.view.scale);
    return column >= 0 && row >= 0 && column < wide && row < high ? { x: column, y: row } : null;
  }

  /** Give the photograph's pixel in the middle of what is seen. */
  middle() {
    const clamp = (value, most) => Math.max(0, Math.min(Math.floor(value), most - 1)), [wide, high] = this.size, { x, y, scale } = this.view;
    return { x: clamp((this.element.clientWidth / 2 - x) / scale, wide), y: clamp((this.element.clientHeight / 2 - y) / scale, high) };
  }

  markOf(index) { return $("marks").querySelector(`[data-index="${index}"]`); }

  #resize() {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.element.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.element.clientHeight * ratio));
    if (this.view.fit) this.fit();
    this.#paint();
  }

  #paint() {
    const ratio = this.canvas.width / Math.max(1, this.element.clientWidth), { x, y, scale } = this.view;
    const background = getComputedStyle(this.element).backgroundColor.match(/[\d.]+/g).slice(0, 3).map((part) => part / 255);
    const ready = Boolean(this.photograph?.luma), [wide] = this.size;
    const left = Math.max(0, x), right = Math.min(this.element.clientWidth, x + wide * scale);
    const divider = left + this.split * (right - left);
    this.screen.draw({
      size: ready ? this.size : [1, 1], view: ready ? [x * ratio, y * ratio, scale * ratio] : [-9, -9, 1], background,
      divider: this.before ? 1e9 : this.split === 0 ? -1 : divider * ratio, overlay: this.overlay ? 1 : 0,
    });
    $("divider").hidden = !ready;
    const top = Math.max(0, y), bottom = Math.min(this.element.clientHeight, y + this.size[1] * scale);
    Object.assign($("divider").style, { left: `${divider}px`, top: `${top}px`, bottom: "auto", height: `${Math.max(28, bottom - top)}px` });
    this.#marks();
  }

  #marks() {
    const hints = this.photograph?.luma ? this.photograph.settings.hints : [];
    const marks = [...$("marks").querySelectorAll(".mark:not(.doubt)")];
    marks.slice(hints.length).forEach((mark) => mark.remove());
    hints.forEach((hint, index) => {
      let mark = marks[index];
      if (!mark) {
        mark = Object.assign(document.createElement("button"), { type: "button", className: "mark" });
        $("marks").append(mark);
      }
      mark.dataset.index = index;
      mark.setAttribute("aria-label", `Hint ${index + 1} at ${hint.x}, ${hint.y}: ${hint.color}. Enter changes the color, arrow keys move it, Delete removes it.`);
      mark.style.setProperty("--mark", hint.color);
      this.#put(mark, hint);
    });
    for (const mark of $("marks").querySelectorAll(".doubt")) this.#put(mark, { x: Number(mark.dataset.x), y: Number(mark.dataset.y) });
  }

  #put(mark, { x, y }) {
    mark.style.left = `${this.view.x + (x + 0.5) * this.view.scale}px`;
    mark.style.top = `${this.view.y + (y + 0.5) * this.view.scale}px`;
  }

  /** Show points at which a hint helps; a click on one begins it. */
  showDoubts(points) {
    for (const mark of $("marks").querySelectorAll(".doubt")) mark.remove();
    points.forEach(({ x, y, confidence }, index) => {
      const mark = Object.assign(document.createElement("button"), { type: "button", className: "mark doubt", textContent: "?" });
      mark.setAttribute("aria-label", `Uncertain point ${index + 1}, ${Math.round(100 * confidence)} percent sure: give it a color`);
      Object.assign(mark.dataset, { x, y });
      mark.addEventListener("click", () => { mark.remove(); this.onPoint({ x, y }); });
      $("marks").append(mark);
    });
    this.draw();
  }

  #listen() {
    const { element, pointers } = this;
    const place = (event) => { const box = element.getBoundingClientRect(); return { x: event.clientX - box.left, y: event.clientY - box.top }; };
    let action = null;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.target.closest(".tools, .doubt") || !this.photograph?.luma) return;
      const at = place(event), mark = event.target.closest(".mark"), divider = event.target.closest("#divider");
      pointers.set(event.pointerId, at);
      element.setPointerCapture(event.pointerId);
      if (pointers.size === 2) action = { kind: "pinch" };
      else if (divider) action = { kind: "divide" };
      else action = { kind: mark ? "mark" : "pan", index: Number(mark?.dataset.index), begin: at, moved: false, step: {} };
      if (!mark && !divider) event.preventDefault();
      (mark ?? (divider ? $("divider") : element)).focus({ preventScroll: true });
    });
    element.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId), at = place(event);
      if (!before || !action) return;
      if (action.kind === "pinch") {
        const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
        if (other) {
          const distance = (one) => Math.hypot(one.x - other.x, one.y - other.y);
          this.zoom(distance(at) / Math.max(1, distance(before)), (at.x + other.x) / 2, (at.y + other.y) / 2);
          this.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
        }
      } else if (action.kind === "divide") this.#divideAt(at.x);
      else {
        action.moved ||= Math.hypot(at.x - action.begin.x, at.y - action.begin.y) > CLICK;
        if (action.moved && action.kind === "mark") { const pixel = this.pixel(at.x, at.y); if (pixel) this.onMove(action.index, pixel, action.step); }
        else if (action.moved) { element.classList.add("panning"); this.pan(at.x - before.x, at.y - before.y); }
      }
      pointers.set(event.pointerId, at);
    });
    const end = (event) => {
      const at = pointers.get(event.pointerId);
      if (!pointers.delete(event.pointerId) || !action) return;
      element.classList.remove("panning");
      if (event.type === "pointerup" && !action.moved) {
        if (action.kind === "mark") this.onOpen(action.index);
        else if (action.kind === "pan") { const pixel = this.pixel(at.x, at.y); if (pixel) this.onPoint(pixel); }
      }
      if (!pointers.size) action = null;
    };
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      const at = place(event);
      if (event.ctrlKey || !event.shiftKey) this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), at.x, at.y);
      else this.pan(-event.deltaY, -event.deltaX);
    }, { passive: false });
    element.addEventListener("keydown", (event) => this.#key(event));
    $("zoom-in").addEventListener("click", () => this.zoom(1.5));
    $("zoom-out").addEventListener("click", () => this.zoom(1 / 1.5));
    $("zoom-fit").addEventListener("click", () => this.fit());
    $("full").addEventListener("click", () => this.full());
  }

  full() { if (document.fullscreenElement) document.exitFullscreen(); else this.element.requestFullscreen?.(); }

  #divideAt(x) {
    const left = Math.max(0, this.view.x), right = Math.min(this.element.clientWidth, this.view.x + this.size[0] * this.view.scale);
    this.setSplit((x - left) / Math.max(1, right - left));
  }

  #key(event) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const mark = event.target.closest(".mark:not(.doubt)"), index = Number(mark?.dataset.index);
    if (event.target.id === "divider") {
      if (event.key === "Home") this.setSplit(0);
      else if (event.key === "End") this.setSplit(1);
      else if (arrows) this.setSplit(this.split + (arrows[0] - arrows[1]) * (event.shiftKey ? 0.1 : 0.02));
      else return;
    } else if (mark) {
      const hint = this.photograph.settings.hints[index];
      if (arrows) {
        const [wide, high] = this.size, far = event.shiftKey ? Math.max(10, Math.round(wide / 50)) : 1;
        const clamp = (value, most) => Math.max(0, Math.min(value, most - 1));
        this.onMove(index, { x: clamp(hint.x + arrows[0] * far, wide), y: clamp(hint.y + arrows[1] * far, high) }, `keys ${index}`);
      } else if (event.key === "Enter" || event.key === " ") this.onOpen(index);
      else if (event.key === "Delete" || event.key === "Backspace") this.onRemove(index);
      else return;
    } else if (event.target === this.element) {
      if (arrows) this.pan(-60 * arrows[0], -60 * arrows[1]);
      else if (event.key === "+" || event.key === "=") this.zoom(1.25);
      else if (event.key === "-") this.zoom(0.8);
      else if (event.key === "0") this.fit();
      else return;
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
