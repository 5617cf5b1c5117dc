/**
 * What a hostile web page tries against a node on the visitor's machine (T13). Each is a script of the page; it may use
 * `node` and `host` (the node's address with and without `http://`), `approval` and `question` (bodies as text), `own` (a
 * server of the attacker that redirects to the node), `wait(element)` (until it has loaded or failed) and `frame(html)`.
 */
export interface BrowserAttack {
  /** What is tried. */
  name: string;
  /** The script; its value does not matter. */
  script: string;
}

/** Functions that the scripts use. */
export const PRELUDE = `
  const soon = (ms) => new Promise((done) => setTimeout(done, ms));
  const wait = (element) => Promise.race([soon(1500), new Promise((done) => {
    element.onload = element.onerror = element.onmessage = done;
  })]);
  const add = (tag, fields) => {
    const element = Object.assign(document.createElement(tag), fields);
    const waited = wait(element);
    document.body.append(element);
    return waited;
  };
  const frame = (html, sandbox) => {
    const element = document.createElement("iframe");
    if (sandbox !== undefined) element.setAttribute("sandbox", sandbox);
    element.srcdoc = html;
    const waited = wait(element).then(() => soon(150));
    document.body.append(element);
    return waited;
  };
  const form = (action, fields, body) => {
    const target = "f" + Math.random();
    const inside = Object.assign(document.createElement("iframe"), { name: target });
    document.body.append(inside);
    const waited = wait(inside);
    const element = Object.assign(document.createElement("form"), { action, target, ...fields });
    element.append(Object.assign(document.createElement("input"), body));
    document.body.append(element);
    element.submit();
    return waited;
  };
  const post = (url, init) => fetch(url, { method: "POST", ...init }).then((answer) => answer.text()).catch(String);
`;

/** At least twenty-five of them. */
export const BROWSER_ATTACKS: readonly BrowserAttack[] = [
  {
    name: "fetch text/plain POST to approve",
    script: `post(node + "/peers/approve", { body: approval, headers: { "content-type": "text/plain" } })`,
  },
  {
    name: "fetch no-cors POST to approve",
    script: `post(node + "/peers/approve", { body: approval, mode: "no-cors" })`,
  },
  {
    name: "fetch no-cors POST to settings",
    script: `post(node + "/settings", { body: '{"name":"show-hardware","value":true}', mode: "no-cors" })`,
  },
  {
    name: "fetch no-cors POST of a question",
    script: `post(node + "/v1/chat/completions", { body: question, mode: "no-cors" })`,
  },
  {
    name: "fetch JSON POST to approve with a guessed token (preflight)",
    script: `post(node + "/peers/approve", { body: approval,
      headers: { "content-type": "application/json", authorization: "Bearer " + "A".repeat(43) } })`,
  },
  {
    name: "fetch JSON POST of a question (preflight)",
    script: `post(node + "/v1/chat/completions", { body: question, headers: { "content-type": "application/json" } })`,
  },
  {
    name: "fetch JSON POST of a question under localhost",
    script: `post(node.replace("127.0.0.1", "localhost") + "/v1/chat/completions",
      { body: question, headers: { "content-type": "application/json" } })`,
  },
  {
    name: "fetch to 0.0.0.0",
    script: `post(node.replace("127.0.0.1", "0.0.0.0") + "/v1/chat/completions", { body: question, mode: "no-cors" })`,
  },
  { name: "fetch GET with credentials", script: `fetch(node + "/status", { credentials: "include" }).catch(String)` },
  {
    name: "fetch with keepalive",
    script: `post(node + "/keys", { body: '{"name":"evil"}', mode: "no-cors", keepalive: true })`,
  },
  {
    name: "fetch of a redirect 307 from the attacker's server",
    script: `post(own + "/307/v1/chat/completions", { body: question, mode: "no-cors" })`,
  },
  {
    name: "fetch of a body without a type",
    script: `post(node + "/v1/chat/completions", { body: new Blob([question]), mode: "no-cors" })`,
  },
  {
    name: "XMLHttpRequest POST text/plain",
    script: `new Promise((done) => { const request = new XMLHttpRequest(); request.open("POST", node + "/peers/revoke");
      request.setRequestHeader("content-type", "text/plain"); request.onloadend = done; request.send(approval); })`,
  },
  {
    name: "form POST text/plain that reads as JSON",
    script: `form(node + "/peers/approve", { method: "POST", enctype: "text/plain" },
      { name: approval.slice(0, -1) + ',"x":"', value: '"}' })`,
  },
  {
    name: "form POST urlencoded",
    script: `form(node + "/keys/revoke", { method: "POST" }, { name: "key", value: "phone" })`,
  },
  {
    name: "form POST multipart to the API",
    script:
      `form(node + "/v1/completions", { method: "POST", enctype: "multipart/form-data" }, { name: "model", value: "m" })`,
  },
  { name: "form GET", script: `form(node + "/v1/models", { method: "GET" }, { name: "a", value: "b" })` },
  { name: "image", script: `add("img", { src: node + "/peers/discovered" })` },
  { name: "script", script: `add("script", { src: node + "/v1/models" })` },
  { name: "module script", script: `add("script", { type: "module", src: node + "/status" })` },
  { name: "style sheet", script: `add("link", { rel: "stylesheet", href: node + "/audit/export" })` },
  {
    name: "link prefetch",
    script: `(add("link", { rel: "prefetch", href: node + "/status" }), soon(300))`,
  },
  { name: "link preload", script: `add("link", { rel: "preload", as: "fetch", href: node + "/audit" })` },
  { name: "video", script: `add("video", { src: node + "/v1/models", autoplay: true })` },
  { name: "object", script: `add("object", { data: node + "/metrics" })` },
  { name: "iframe", script: `add("iframe", { src: node + "/v1/models" })` },
  {
    name: "WebSocket",
    script: `new Promise((done) => { new WebSocket("ws://" + host + "/v1/models").onerror = done; })`,
  },
  {
    name: "EventSource",
    script: `new Promise((done) => { const events = new EventSource(node + "/v1/models");
      events.onerror = () => done(events.close()); })`,
  },
  {
    name: "beacon of text",
    script: `(navigator.sendBeacon(node + "/peers/approve", approval), soon(300))`,
  },
  {
    name: "beacon of JSON (preflight)",
    script: `(navigator.sendBeacon(node + "/v1/chat/completions", new Blob([question], { type: "application/json" })),
      soon(300))`,
  },
  {
    name: "sandboxed iframe, origin null",
    script: "frame(`<script>fetch('${node}/v1/chat/completions', { method: 'POST', body: '${question}', " +
      "headers: { 'content-type': 'application/json' } })</script>`, 'allow-scripts')",
  },
  {
    name: "sandboxed iframe, origin null, text/plain",
    script: "frame(`<script>fetch('${node}/peers/approve', { method: 'POST', body: '${approval}' })</script>`, " +
      "'allow-scripts')",
  },
  {
    name: "iframe without a referrer, form POST",
    script: "frame(`<meta name=referrer content=no-referrer><form method=POST enctype=text/plain " +
      "action='${node}/v1/chat/completions'><input name='{\"model\":\"m\"}'></form><script>document.forms[0].submit()" +
      "</script>`, 'allow-scripts allow-forms')",
  },
  {
    name: "worker",
    script: "new Promise((done) => { const worker = new Worker(URL.createObjectURL(new Blob([`fetch('${node}" +
      "/v1/chat/completions', { method: 'POST', mode: 'no-cors', body: '${question}' })" +
      ".catch(String).then(() => postMessage(1))`]))); worker.onmessage = worker.onerror = done; })",
  },
  {
    name: "link with ping",
    script:
      `(() => { const link = Object.assign(document.createElement("a"), { href: "#", ping: node + "/peers/approve" });
      document.body.append(link); link.click(); return soon(300); })()`,
  },
  {
    name: "window that is opened",
    script: `(() => { const opened = open(node + "/v1/models"); return soon(500).then(() => opened?.close()); })()`,
  },
];
