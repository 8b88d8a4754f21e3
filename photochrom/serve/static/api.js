// Talk to the server. Every address is relative, so that the page works under any path of a proxy.

export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || `The server answered ${status}.`);
    this.kind = (body.type ?? "").split(":").pop();
    this.status = status;
  }
}

let askToken = async () => {};

export function onTokenNeeded(ask) { askToken = ask; }

async function problemOf(answer) {
  try { return new Problem(await answer.json(), answer.status); } catch { return new Problem({}, answer.status); }
}

const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, 1000 * seconds);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

/** Fetch an address; a busy server is asked again up to three times, and a missing token is asked for. */
export async function call(path, options = {}) {
  for (let trial = 0; ; trial++) {
    let answer;
    try {
      answer = await fetch(path, { credentials: "same-origin", ...options });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem({ detail: "The server cannot be reached. Is it still running?" }, 0);
    }
    if (answer.ok) return answer;
    const problem = await problemOf(answer);
    if (problem.kind === "no-token" && path !== "v1/login") await askToken();
    else if (answer.status === 503 && trial < 3) await pause(Math.min(Number(answer.headers.get("Retry-After")) || 1, 10), options.signal);
    else throw problem;
  }
}

export const json = async (path, options) => (await call(path, options)).json();

export const send = (path, body, options = {}) => call(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), ...options,
});

/** Send a file with its progress, from 0 to 1; returns the answer's JSON. */
export async function upload(path, file, { progress, signal, headers = {} }) {
  for (let trial = 0; ; trial++) {
    const request = new XMLHttpRequest();
    const answer = await new Promise((resolve, reject) => {
      request.open("POST", path);
      request.setRequestHeader("X-File-Name", encodeURIComponent(file.name || ""));
      request.setRequestHeader("Content-Type", "application/octet-stream");
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
      request.onload = () => resolve(request);
      request.onerror = () => reject(new Problem({ detail: "The upload failed. Is the server still running?" }, 0));
      request.onabort = () => reject(new DOMException("Canceled", "AbortError"));
      signal.addEventListener("abort", () => request.abort(), { once: true });
      if (signal.aborted) reject(new DOMException("Canceled", "AbortError"));
      else request.send(file);
    });
    if (answer.status < 300) return JSON.parse(answer.responseText);
    let body = {};
    try { body = JSON.parse(answer.responseText); } catch { /* no problem+json: the status says it */ }
    const problem = new Problem(body, answer.status);
    if (problem.kind === "no-token") await askToken();
    else if (answer.status === 503 && trial < 3) await pause(Math.min(Number(answer.getResponseHeader("Retry-After")) || 1, 10), signal);
    else throw problem;
  }
}

export function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
