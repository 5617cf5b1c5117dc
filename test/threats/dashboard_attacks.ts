/**
 * What a hostile page tries against the dashboard of a visitor who is logged in to it in the same browser. Each is a script of
 * the page and resolves with its loot: what it got to know, or null. It may use `node` (origin of the dashboard), `calls` (what the
 * dashboard calls), `token` (a session that looks stolen), `patience` (milliseconds), and the functions of {@linkcode DASHBOARD_PRELUDE}.
 */
export interface DashboardAttack {
  /** What is tried. */
  name: string;
  /** The script. */
  script: string;
}

/** Functions that the scripts use. */
export const DASHBOARD_PRELUDE = `
  const soon = (ms) => new Promise((done) => setTimeout(done, ms));
  const first = (ms, ...all) => Promise.race([soon(ms).then(() => null), ...all]);
  const read = async (path, init = {}) => {
    try {
      const stop = AbortSignal.timeout(patience);
      const answer = await fetch(node + path, { signal: stop, ...init });
      if (!answer.ok) return null;
      const { value } = await answer.body.getReader().read();
      return path + " " + new TextDecoder().decode(value).slice(0, 60);
    } catch { return null; }
  };
  const each = async (ask) => (await Promise.all(calls.map(ask))).find((one) => one !== null) ?? null;
  const add = (tag, fields) => {
    const element = Object.assign(document.createElement(tag), fields);
    const loaded = new Promise((done) => {
      element.onload = () => done(tag + " loaded");
      element.onloadeddata = () => done(tag + " loaded");
      element.onerror = () => done(null);
    });
    document.body.append(element);
    return first(patience, loaded);
  };
  const told = () => new Promise((done) => addEventListener("message", ({ data }) => done(String(data)), { once: true }));
  const json = { "content-type": "application/json" };
  const body = JSON.stringify({ node_id: "x", name: "evil", key: "phone", id: "x", code: token, token });
  const send = (action, fields, name, value) => {
    const target = "f" + Math.random();
    document.body.append(Object.assign(document.createElement("iframe"), { name: target }));
    const form = Object.assign(document.createElement("form"), { action, target, method: "POST", ...fields });
    form.append(Object.assign(document.createElement("input"), { name, value }));
    document.body.append(form);
    form.submit();
  };
`;

const posting = (init: string) => `each((path) => read(path, { method: "POST", body, ${init} }))`;

/** Attacks from another origin. */
export const DASHBOARD_ATTACKS: readonly DashboardAttack[] = [
  { name: "reads every call", script: `each((path) => read(path))` },
  { name: "reads every call with credentials", script: `each((path) => read(path, { credentials: "include" }))` },
  {
    name: "reads every call with a session that looks stolen",
    script: `each((path) => read(path, { headers: { authorization: "Bearer " + token } }))`,
  },
  { name: "makes every call as JSON", script: posting("headers: json") },
  {
    name: "makes every call as JSON with a session that looks stolen",
    script: posting(`headers: { ...json, authorization: "Bearer " + token }, credentials: "include"`),
  },
  { name: "makes every call as text", script: posting(`headers: { "content-type": "text/plain" }`) },
  { name: "makes every call without CORS", script: posting(`mode: "no-cors", credentials: "include"`) },
  {
    name: "makes every call by a beacon",
    script: `(calls.forEach((path) => navigator.sendBeacon(node + path, body)), soon(400).then(() => null))`,
  },
  {
    name: "makes every call by a form",
    script: `(calls.forEach((path) => send(node + path, {}, "node_id", "x")), soon(800).then(() => null))`,
  },
  {
    name: "makes every call by a form of text that reads as JSON",
    script: `(calls.forEach((path) => send(node + path, { enctype: "text/plain" }, body.slice(0, -1) + ',"y":"', '"}')),
      soon(800).then(() => null))`,
  },
  { name: "reads its page", script: `read("/ui/")` },
  { name: "includes its scripts", script: `add("script", { src: node + "/ui/live.js" })` },
  { name: "includes its modules", script: `add("script", { type: "module", src: node + "/ui/api.js" })` },
  {
    name: "imports its modules",
    script: `import(node + "/ui/api.js").then((module) => "module " + Object.keys(module).join(), () => null)`,
  },
  { name: "shows its picture", script: `add("img", { src: node + "/ui/mark.svg" })` },
  { name: "uses its style", script: `add("link", { rel: "stylesheet", href: node + "/ui/style.css" })` },
  {
    name: "preloads what it asks",
    script: `add("link", { rel: "preload", as: "fetch", crossOrigin: "use-credentials", href: node + "/status" })`,
  },
  { name: "runs an answer as a script", script: `add("script", { src: node + "/status" })` },
  {
    name: "listens to what happens",
    script: `first(patience, new Promise((done) => {
      const events = new EventSource(node + "/api/v1/events", { withCredentials: true });
      events.onmessage = ({ data }) => (events.close(), done(data));
      events.onerror = () => (events.close(), done(null));
    }))`,
  },
  {
    name: "opens a WebSocket",
    script: `first(patience, new Promise((done) => {
      const socket = new WebSocket(node.replace("http", "ws") + "/api/v1/events");
      socket.onopen = () => (socket.close(), done("open"));
      socket.onerror = () => done(null);
    }))`,
  },
  {
    name: "puts it into a frame to have it clicked",
    script: `(() => { const heard = told(); document.body.append(Object.assign(document.createElement("iframe"),
      { src: node + "/ui/", style: "opacity: 0" })); return first(patience, heard); })()`,
  },
  {
    name: "puts it into a sandboxed frame",
    script: `(() => { const heard = told(); const frame = document.createElement("iframe");
      frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms"); frame.src = node + "/ui/";
      document.body.append(frame); return first(patience, heard); })()`,
  },
  {
    name: "puts it into an object",
    script: `(() => { const heard = told(); document.body.append(Object.assign(document.createElement("object"),
      { data: node + "/ui/", type: "text/html" })); return first(patience, heard); })()`,
  },
  {
    name: "opens it and talks to it",
    script: `(async () => { const heard = told(); const opened = open(node + "/ui/#/settings");
      const chat = setInterval(() => opened?.postMessage({ type: "session" }, "*"), 100);
      const loot = await first(patience, heard); clearInterval(chat);
      // A window that is severed from its opener looks closed, and has nothing to count.
      const frames = loot ?? (opened && !opened.closed && opened.length > 0 ? "frames " + opened.length : null);
      opened?.close(); return frames; })()`,
  },
  {
    name: "leads to it with a session that looks stolen",
    script: `(async () => { const heard = told(); const opened = open(node + "/ui/#code=" + token);
      const loot = await first(patience, heard); opened?.close(); return loot; })()`,
  },
  {
    name: "registers a service worker for it",
    script: `first(patience, navigator.serviceWorker === undefined ? null : navigator.serviceWorker
      .register(node + "/ui/worker.js", { scope: node + "/ui/" }).then(() => "registered", () => null))`,
  },
  {
    name: "starts its script as a worker",
    script: `first(patience, new Promise((done) => { try { const worker = new Worker(node + "/ui/live.js");
      worker.onmessage = () => done("ran"); worker.onerror = () => done(null); } catch { done(null); } }))`,
  },
];

/**
 * Attacks that the browser itself stops, however unprotected the other side is: nothing shows that they would be seen. They are
 * made nevertheless, for the day on which a browser does not.
 */
export const STOPPED_BY_BROWSERS: ReadonlySet<string> = new Set([
  "registers a service worker for it",
  "starts its script as a worker",
]);
