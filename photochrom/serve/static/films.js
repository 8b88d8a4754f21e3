// Films: sent with progress, colored on the server, followed by events; the list survives a reload.

import { call, json, upload } from "./api.js";

const KEPT = "photochrom-films";
const ENDINGS = /\.(mp4|m4v|mov|mkv|mk3d|webm|avi|mpe?g|m?2?ts|mts|flv|mxf)$/i;
const list = document.getElementById("film-list");
const films = [];

export const isFilm = (file) => file.type.startsWith("video/") || ENDINGS.test(file.name);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function keep() { localStorage.setItem(KEPT, JSON.stringify(films.filter((film) => film.job).map((film) => film.job.id))); }

function words({ state, job, error, progress }) {
  if (state === "sending") return `Sending, ${Math.round(100 * progress)} %`;
  if (state === "failed") return error;
  if (job.status === "running") return job.frames ? `Coloring, ${job.frames}${job.total ? ` of ${job.total}` : ""} frames` : "Looking at its scenes";
  return { waiting: "Waiting for its turn", done: job.detail ? `Done. ${job.detail}.` : "Done", failed: job.detail }[job.status];
}

function show(film) {
  const { job, state } = film, name = job?.name ?? film.file.name, running = state === "sending" || (state === "job" && ["waiting", "running"].includes(job.status));
  film.item.className = `film ${state === "job" ? job.status : state}`;
  const bar = running ? element("progress", { max: 1 }) : null;
  if (bar) {
    bar.setAttribute("aria-label", `Progress of ${name}`);
    if (state === "sending") bar.value = film.progress;
    else if (job.total) bar.value = job.frames / job.total;
  }
  const buttons = element("span", { className: "buttons" });
  if (state === "job" && job.status === "done") {
    const link = element("a", { className: "button primary", href: `v1/jobs/${job.id}/result`, textContent: "Download" });
    link.setAttribute("download", "");
    buttons.append(link);
  }
  const end = element("button", { type: "button", textContent: running ? "Cancel" : "Remove" });
  end.setAttribute("aria-label", `${end.textContent} ${name}`);
  end.addEventListener("click", () => remove(film));
  buttons.append(end);
  const parts = [element("p", {}, element("strong", {}, name)), element("p", { className: "quiet" }, words(film))];
  const focused = film.item.contains(document.activeElement);
  film.item.replaceChildren(element("div", { className: "film-text" }, ...parts, ...(bar ? [bar] : [])), buttons);
  if (job?.preview) {
    film.preview ??= element("img", { src: `v1/jobs/${job.id}/preview`, alt: `Scenes of ${name}, in grey and in color`, loading: "lazy" });
    film.item.append(element("details", { open: film.opened, ontoggle: (event) => { film.opened = event.target.open; } }, element("summary", {}, "Scenes"), film.preview));
  }
  if (focused) film.item.querySelector("button")?.focus();
}

function place(film) {
  film.item = element("li");
  films.push(film);
  list.append(film.item);
  list.closest("section").hidden = false;
  show(film);
}

async function remove(film) {
  film.events?.close();
  film.abort?.abort();
  films.splice(films.indexOf(film), 1);
  film.item.remove();
  list.closest("section").hidden = !films.length;
  keep();
  if (film.job) await call(`v1/jobs/${film.job.id}`, { method: "DELETE" }).catch(() => {});
}

function follow(film) {
  Object.assign(film, { state: "job" });
  show(film);
  if (["done", "failed"].includes(film.job.status)) return;
  film.events = new EventSource(`v1/jobs/${film.job.id}/events`);
  film.events.onmessage = (event) => {
    film.job = JSON.parse(event.data);
    if (["done", "failed"].includes(film.job.status)) film.events.close();
    show(film);
  };
}

export async function addFilm(file) {
  const film = { file, state: "sending", progress: 0, abort: new AbortController() };
  place(film);
  try {
    film.job = await upload("v1/jobs", file, {
      signal: film.abort.signal, headers: { "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()) },
      progress: (part) => { film.progress = part; show(film); },
    });
    keep();
    follow(film);
  } catch (error) {
    if (error.name === "AbortError") return;
    Object.assign(film, { state: "failed", error: error.message });
    show(film);
  }
}

/** Show the films that this browser has sent before. */
export async function resume() {
  let known = [];
  try { known = JSON.parse(localStorage.getItem(KEPT) ?? "[]"); } catch { /* not ours: nothing to show */ }
  for (const id of known) {
    try {
      const film = { job: await json(`v1/jobs/${id}`), state: "job" };
      place(film);
      follow(film);
    } catch (error) { if (error.kind !== "no-job") throw error; }
  }
  keep();
}
