// One photograph: its session on the server, its hints with their history, and its colors.

import { call, json, send, upload } from "./api.js";

const MOST_STEPS = 200;

export class Photograph extends EventTarget {
  constructor(file) {
    super();
    Object.assign(this, { file, state: "waiting", progress: 0, error: "", info: null, luma: null, model: null, picture: null, doubt: null, thumbnail: null });
    this.settings = { hints: [], vividness: 1 };
    this.reference = null;
    this.past = [];
    this.future = [];
    this.work = null;
    this.stale = false;
  }

  get name() { return this.file.name || "pasted photograph"; }

  changed(what = "state") { this.dispatchEvent(new CustomEvent("change", { detail: what })); }

  /** Send the photograph and get its luma and its first colors. */
  async open({ side, shader }) {
    this.options = { side, shader };
    this.abort = new AbortController();
    Object.assign(this, { state: "sending", progress: 0, error: "" });
    this.changed();
    try {
      await this.#create();
      const answer = await this.#get(`luma?side=${side}`);
      this.luma = await bitmapOf(await answer.blob());
      await this.#color();
      this.state = "ready";
      this.changed();
      this.thumbnail = URL.createObjectURL(await (await this.#get("picture?side=176")).blob());
      this.changed();
    } catch (error) {
      if (error.name === "AbortError") this.state = "canceled";
      else Object.assign(this, { state: "failed", error: error.message });
      this.changed();
    }
  }

  cancel() { this.abort?.abort(); }

  /** Forget the photograph, here and on the server. */
  close() {
    this.cancel();
    if (this.info) call(`v1/sessions/${this.info.id}`, { method: "DELETE", keepalive: true }).catch(() => {});
    if (this.thumbnail) URL.revokeObjectURL(this.thumbnail);
    this.luma?.close();
  }

  /** Change hints or vividness; ``step`` names what is one step of undo, so that a drag is one. */
  set(change, step = {}) {
    if (this.step !== step) {
      this.past = [...this.past.slice(1 - MOST_STEPS), this.settings];
      this.future = [];
      this.step = step;
    }
    this.settings = { ...this.settings, ...change };
    this.changed("settings");
    return this.recolor();
  }

  undo() { return this.#travel(this.past, this.future); }

  redo() { return this.#travel(this.future, this.past); }

  #travel(from, to) {
    if (!from.length) return null;
    to.push(this.settings);
    this.settings = from.pop();
    this.step = null;
    this.changed("settings");
    return this.recolor();
  }

  async setReference(file) {
    if (file) await this.#ask("reference", { method: "PUT", body: file });
    else await this.#ask("reference", { method: "DELETE" });
    this.reference = file;
    this.changed("settings");
    await this.recolor();
  }

  /** Get the colors of the latest settings: one request at a time, and never an outdated one more than that. */
  recolor() {
    this.stale = true;
    if (!this.work) {
      this.work = this.#follow().finally(() => { this.work = null; this.changed("busy"); });
      this.changed("busy");
    }
    return this.work;
  }

  async #follow() {
    while (this.stale) {
      this.stale = false;
      try {
        await this.#color();
        this.error = "";
      } catch (error) {
        this.error = error.message;
      }
      this.changed("color");
    }
  }

  async #color() {
    const answer = await this.#ask("hints", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(this.settings) });
    const model = await answer.arrayBuffer();
    if (this.options.shader) this.model = model;
    else this.picture = await bitmapOf(await (await this.#get("picture?side=2048")).blob());
    this.changed("color");
    if (this.wantsDoubt) await this.loadDoubt();
  }

  async loadDoubt() {
    this.doubt = await bitmapOf(await (await this.#get("confidence")).blob());
    this.changed("color");
  }

  suggestions(x, y) { return this.#get(`suggestions?x=${x}&y=${y}`).then((answer) => answer.json()); }

  async doubts() { await this.work; return (await this.#get("doubts")).json(); }

  async variants() { await this.work; return (await this.#get("variants?count=4")).json(); }

  /** Get the result's file, of the latest settings. */
  async result() { await this.work; return (await this.#get("result")).blob(); }

  async #create() {
    this.info = await upload("v1/sessions", this.file, { signal: this.abort.signal, progress: (part) => { this.progress = part; this.changed("progress"); } });
    if (this.reference) await this.#ask("reference", { method: "PUT", body: this.reference });
  }

  #get(path) { return this.#ask(path, {}); }

  /** Ask about the session; if the server has forgotten it, send the photograph once more first. */
  async #ask(path, options) {
    const ask = () => call(`v1/sessions/${this.info.id}/${path}`, { signal: this.abort.signal, ...options });
    try {
      return await ask();
    } catch (error) {
      if (error.kind !== "no-session") throw error;
      await this.#create();
      if (path !== "hints") await send(`v1/sessions/${this.info.id}/hints`, this.settings);
      return ask();
    }
  }

  /** Write the command that gives the same result. */
  command() {
    const quote = (text) => (/^[\w.,/#=+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
    const parts = ["photochrom colorize", quote(this.name.startsWith("-") ? `./${this.name}` : this.name)];
    if (this.settings.vividness !== 1) parts.push(`--vividness ${this.settings.vividness}`);
    if (this.info?.kind === "color") parts.push("--on-color recolor");
    for (const { x, y, color } of this.settings.hints) parts.push(`--hint '${x},${y}=${color}'`);
    if (this.reference) parts.push(`--reference ${quote(this.reference.name)}`);
    return parts.join(" ");
  }
}

const bitmapOf = (blob) => createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });

export const modelInfo = () => json("v1/model");
