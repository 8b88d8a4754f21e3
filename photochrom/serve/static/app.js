// The page: photographs come in, are corrected, and go out.

import { onTokenNeeded, Problem, save, send } from "./api.js";
import { downloadZip } from "./client-zip.js";
import { addFilm, isFilm, resume } from "./films.js";
import { modelInfo, Photograph } from "./photograph.js";
import { Picker } from "./picker.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const AT_ONCE = 2; // photographs on their way to the server
const photographs = [];
let current = null;
let about = null;
let statusTimer;

/** Say what happened; what can be seen anyway is said to screen readers only. */
function say(text, { seen = false } = {}) {
  clearTimeout(statusTimer);
  $("status").textContent = text;
  $("status").classList.toggle("unseen", seen);
  if (text) statusTimer = setTimeout(() => { $("status").textContent = ""; }, 7000);
}

const stage = new Stage({ onPoint: addHint, onMove: moveHint, onOpen: openPicker, onRemove: removeHint });
const picker = new Picker({
  onColor: (hint, color) => { const index = indexOf(hint); if (index >= 0) changeHint(index, { color }, `color ${index}`); },
  onRemove: (hint) => { const index = indexOf(hint); if (index >= 0) removeHint(index); },
  onClose: (opener) => { if (current) current.step = null; (opener?.isConnected ? opener : $("stage")).focus({ preventScroll: true }); },
});
let edited = -1;
const indexOf = () => edited;

// Hints

function changeHint(index, change, step) {
  current.set({ hints: current.settings.hints.map((hint, place) => (place === index ? { ...hint, ...change } : hint)) }, step);
}

async function addHint({ x, y }) {
  if (!about?.hints) { say("This model takes no hints."); return; }
  const at = current, step = {};
  const suggestions = at.suggestions(x, y);
  suggestions.catch(() => {});
  const likely = await suggestions.catch(() => []);
  if (current !== at) return;
  const color = likely[0]?.color ?? "#808080";
  at.set({ hints: [...at.settings.hints, { x, y, color }] }, step);
  stage.upload();
  await new Promise(requestAnimationFrame);
  openPicker(at.settings.hints.length - 1, suggestions);
}

function moveHint(index, pixel, step) { changeHint(index, pixel, step); }

function removeHint(index) {
  current.set({ hints: current.settings.hints.filter((_, place) => place !== index) });
  say("Hint removed.", { seen: true });
  $("stage").focus({ preventScroll: true });
}

function openPicker(index, suggestions, opener) {
  const hint = current.settings.hints[index];
  edited = index;
  const mark = stage.markOf(index);
  picker.show(hint, mark ?? $("stage"), suggestions ?? current.suggestions(hint.x, hint.y), opener ?? mark);
}

// Photographs

function add(files) {
  for (const film of [...files].filter(isFilm)) {
    if (about?.films === false) say("This server colors no films: it needs pip install 'photochrom[serve,video]'.");
    else addFilm(film);
  }
  const fresh = [...files].filter((file) => !isFilm(file)).map((file) => new Photograph(file));
  if (!fresh.length) return;
  for (const one of fresh) {
    photographs.push(one);
    one.addEventListener("change", (event) => changed(one, event.detail));
    if (about && one.file.size > about.max_body) Object.assign(one, { state: "failed", error: `The file is larger than ${Math.round(about.max_body / 2 ** 20)} MiB.` });
  }
  if (!current) choose(fresh[0]);
  strip();
  next();
}

/** Send the next photographs that wait. */
function next() {
  let busy = photographs.filter((one) => one.state === "sending").length;
  for (const one of photographs) {
    if (one.state === "waiting" && busy++ < AT_ONCE) one.open({ side: stage.side, shader: stage.screen.shader }).then(next);
  }
}

function retry(one) { one.state = "waiting"; one.error = ""; strip(); panel(); next(); }

function remove(one) {
  const place = photographs.indexOf(one);
  one.close();
  photographs.splice(place, 1);
  if (current === one) choose(photographs[Math.min(place, photographs.length - 1)] ?? null);
  strip();
  next();
}

function choose(one) {
  picker.close();
  current = one;
  stage.showDoubts([]);
  $("stage").setAttribute("aria-busy", String(Boolean(one?.work)));
  $("welcome").hidden = Boolean(one);
  $("editor").hidden = !one;
  stage.show(one);
  $("variant-list").hidden = true;
  panel();
  strip();
}

function changed(one, what) {
  if (what === "progress") { const bar = one.item?.querySelector("progress"); if (bar) bar.value = one.progress; return; }
  if (what === "busy") { if (one === current) $("stage").setAttribute("aria-busy", String(Boolean(one.work))); return; }
  if (one === current) {
    if (what === "state" && one.state === "ready") { stage.show(one); say(`${one.name} is colored.`, { seen: true }); if ($("confidence").checked) showConfidence(); }
    stage.upload();
    panel();
    if (what === "color" && one.error) say(one.error);
  }
  if (what === "state") strip();
}

function strip() {
  $("strip").hidden = !photographs.length;
  $("download-all").hidden = photographs.filter((one) => one.state === "ready").length < 2;
  $("photographs").replaceChildren(...photographs.map((one) => {
    const item = document.createElement("li"), button = Object.assign(document.createElement("button"), { type: "button", className: `thumb ${one.state}` });
    button.setAttribute("aria-current", String(one === current));
    const words = { waiting: "waiting", sending: "coloring", ready: "ready", failed: `failed: ${one.error}`, canceled: "canceled" }[one.state];
    button.setAttribute("aria-label", `${one.name}, ${words}`);
    button.title = `${one.name}: ${words}`;
    if (one.thumbnail) button.append(Object.assign(document.createElement("img"), { src: one.thumbnail, alt: "" }));
    else button.append(Object.assign(document.createElement("span"), { className: "state", textContent: { waiting: "Waiting", sending: "Coloring", ready: "Ready", failed: "Failed", canceled: "Canceled" }[one.state] }));
    if (one.state === "sending") { const bar = Object.assign(document.createElement("progress"), { max: 1, value: one.progress }); bar.setAttribute("aria-label", `Sending ${one.name}`); button.append(bar); }
    button.addEventListener("click", () => choose(one));
    item.append(button);
    const [label, act] = one.state === "sending" || one.state === "waiting" ? ["Cancel", () => { if (one.state === "waiting") { one.state = "canceled"; changed(one, "state"); } else one.cancel(); }]
      : one.state === "failed" || one.state === "canceled" ? ["Retry", () => retry(one)] : ["Remove", () => remove(one)];
    const small = Object.assign(document.createElement("button"), { type: "button", className: "small", textContent: label === "Retry" ? "↻" : "×", title: label });
    small.setAttribute("aria-label", `${label} ${one.name}`);
    small.addEventListener("click", act);
    item.append(small);
    one.item = item;
    return item;
  }));
}

// The panel

function panel() {
  const one = current, ready = one?.state === "ready";
  $("cover").hidden = ready || !one;
  if (!one) return;
  $("cover").textContent = { waiting: "Waiting…", sending: "Coloring…", failed: one.error, canceled: "Canceled." }[one.state] ?? "";
  $("title").textContent = one.name;
  $("about").textContent = one.info ? `${one.info.width} × ${one.info.height}, ${one.info.bits} bits, saved as ${one.info.format.toUpperCase()}` : "";
  const notes = [...(one.info?.kind === "color" ? ["This photograph is in color already. Its colors give way to a guess."] : []), ...(one.info?.notes ?? []).map((note) => `The result has ${note}.`)];
  $("notice").hidden = !notes.length;
  $("notice").textContent = notes.join(" ");
  for (const control of $("panel").querySelectorAll("button, input")) control.disabled = !ready;
  $("undo").disabled = !one.past.length;
  $("redo").disabled = !one.future.length;
  $("vividness").value = one.settings.vividness;
  $("vividness-value").textContent = Number(one.settings.vividness).toFixed(1);
  $("hints-empty").hidden = one.settings.hints.length > 0;
  $("no-reference").hidden = !one.reference;
  $("reference-about").textContent = one.reference ? one.reference.name : "A color photograph whose palette leads.";
  listHints(one);
}

function listHints(one) {
  const focused = document.activeElement?.closest?.("#hints li"), place = focused ? [...$("hints").children].indexOf(focused) : -1;
  $("hints").replaceChildren(...one.settings.hints.map((hint, index) => {
    const item = document.createElement("li");
    const swatch = Object.assign(document.createElement("button"), { type: "button", className: "swatch" });
    const chip = Object.assign(document.createElement("span"), { className: "chip" });
    chip.style.setProperty("--chip", hint.color);
    swatch.append(chip, hint.color);
    swatch.setAttribute("aria-label", `Change the color of hint ${index + 1}, ${hint.color}`);
    swatch.addEventListener("click", () => openPicker(index, undefined, swatch));
    const gone = Object.assign(document.createElement("button"), { type: "button", className: "icon", textContent: "×", title: "Remove" });
    gone.setAttribute("aria-label", `Remove hint ${index + 1}`);
    gone.addEventListener("click", () => removeHint(index));
    item.append(swatch, gone);
    return item;
  }));
  if (place >= 0) $("hints").children[Math.min(place, $("hints").children.length - 1)]?.querySelector("button").focus({ preventScroll: true });
}

/** Run what a button starts: it waits meanwhile, and a failure is said. */
async function busy(button, work) {
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try { await work(); } catch (error) { if (error.name !== "AbortError") say(error.message); } finally {
    button.removeAttribute("aria-busy");
    button.disabled = false;
  }
}

async function showConfidence() {
  const one = current;
  one.wantsDoubt = true;
  await one.loadDoubt();
  stage.overlay = true;
  stage.upload();
}

async function showVariants() {
  const one = current, found = await one.variants();
  if (current !== one) return;
  $("variant-list").hidden = false;
  $("variant-list").replaceChildren(...found.map((variant, index) => {
    const item = document.createElement("li"), button = Object.assign(document.createElement("button"), { type: "button" });
    button.setAttribute("aria-pressed", "false");
    button.append(Object.assign(document.createElement("img"), { src: variant.preview, alt: `Variant ${index + 1}` }));
    button.addEventListener("click", () => {
      one.set({ hints: variant.hints });
      for (const each of $("variant-list").querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === button));
    });
    item.append(button);
    return item;
  }));
  say(found.length > 1 ? `${found.length} variants.` : "The model sees only one way to color this photograph.");
}

async function downloadAll() {
  const ready = photographs.filter((one) => one.state === "ready"), used = new Map();
  async function* files() {
    for (const [index, one] of ready.entries()) {
      say(`Writing ${index + 1} of ${ready.length}…`);
      const name = one.info.result_name, count = used.get(name) ?? 0;
      used.set(name, count + 1);
      yield { name: count ? name.replace(/(\.[^.]*)?$/, `-${count + 1}$1`) : name, input: await one.result(), lastModified: new Date() };
    }
  }
  save(await downloadZip(files()).blob(), "photographs.zip");
  say(`${ready.length} photographs saved.`);
}

// Wiring

for (const button of document.querySelectorAll("[data-choose]")) button.addEventListener("click", () => $("files").click());
$("files").addEventListener("change", (event) => { add(event.target.files); event.target.value = ""; });
$("vividness").addEventListener("input", (event) => current.set({ vividness: Number(event.target.value) }, "vividness"));
$("vividness").addEventListener("change", () => { current.step = null; });
$("undo").addEventListener("click", () => current.undo());
$("redo").addEventListener("click", () => current.redo());
$("add-hint").addEventListener("click", () => addHint(stage.middle()));
$("doubt").addEventListener("click", (event) => busy(event.currentTarget, async () => {
  const points = await current.doubts();
  stage.showDoubts(points);
  say(points.length ? "The points marked ? are where a hint helps most." : "The colors are certain everywhere.");
}));
$("variants").addEventListener("click", (event) => busy(event.currentTarget, showVariants));
$("reference").addEventListener("click", () => $("reference-file").click());
$("reference-file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) busy($("reference"), () => current.setReference(file));
});
$("no-reference").addEventListener("click", () => busy($("no-reference"), () => current.setReference(null)));
$("confidence").addEventListener("change", async (event) => {
  if (event.target.checked) return busy(event.target, showConfidence);
  for (const one of photographs) one.wantsDoubt = false;
  stage.overlay = false;
  return stage.draw();
});
$("download").addEventListener("click", (event) => busy(event.currentTarget, async () => {
  const one = current;
  say("Writing the file…");
  save(await one.result(), one.info.result_name);
  say(`${one.info.result_name} is saved.`);
}));
$("download-all").addEventListener("click", (event) => busy(event.currentTarget, downloadAll));
$("command").addEventListener("click", async () => {
  const text = current.command();
  try { await navigator.clipboard.writeText(text); say("The command is copied."); } catch { say(text); }
});
$("show-keys").addEventListener("click", () => $("keys").showModal());

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input[type=text], input[type=password], dialog") || !current) return;
  const key = event.key.toLowerCase(), command = event.ctrlKey || event.metaKey;
  if (command && key === "z") { event.preventDefault(); if (event.shiftKey) current.redo(); else current.undo(); }
  else if (command && key === "y") { event.preventDefault(); current.redo(); }
  else if (command || event.altKey) return;
  else if (key === "h" && current.state === "ready") addHint(stage.middle());
  else if (key === "f") stage.full();
  else if (key === "b" && !stage.before) { stage.before = true; stage.draw(); }
});
document.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "b") { stage.before = false; stage.draw(); } });

let depth = 0;
const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
document.addEventListener("dragenter", (event) => { if (hasFiles(event)) { depth++; $("drop").hidden = false; } });
document.addEventListener("dragleave", (event) => { if (hasFiles(event) && --depth <= 0) { depth = 0; $("drop").hidden = true; } });
document.addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
document.addEventListener("drop", (event) => {
  depth = 0;
  $("drop").hidden = true;
  if (!hasFiles(event)) return;
  event.preventDefault();
  add(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => { if (event.clipboardData?.files.length) { event.preventDefault(); add(event.clipboardData.files); } });
addEventListener("pagehide", (event) => { if (!event.persisted) for (const one of photographs) one.close(); });

let asking = null;
onTokenNeeded(() => {
  asking ??= new Promise((resolve) => {
    $("login").showModal();
    $("login").addEventListener("cancel", (event) => event.preventDefault());
    $("login").querySelector("form").onsubmit = async (event) => {
      event.preventDefault();
      try {
        await send("v1/login", { token: $("token").value });
        $("token").value = $("login-error").textContent = "";
        $("login").close();
        asking = null;
        resolve();
      } catch (error) { $("login-error").textContent = error instanceof Problem ? error.message : String(error); }
    };
  });
  return asking;
});

try {
  about = await modelInfo();
  $("hints-group").hidden = !about.hints;
  $("variants-group").hidden = !about.hints;
  $("reference-group").hidden = !about.palettes;
  $("confidence-group").hidden = !about.confidence;
  $("doubt").hidden = !about.confidence;
  await resume();
} catch (error) { say(error.message); }
document.documentElement.dataset.ready = "true";
