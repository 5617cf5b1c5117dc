/** Models: what is here and at neighbours, and how more come. */
import { useRef, useState } from "preact/hooks";
import { call, linesOf, open } from "./api.js";
import { useLive } from "./live.js";
import { Act, Badge, Card, Confirm, Empty, Field, html, say, Waiting } from "./parts.js";
import { chats, counted, size, span } from "./format.js";

export function Models() {
  const { data, error, reload } = useLive(() => call("/models"), { on: ["models", "peer", "load"], everyMs: 10_000 });
  const { data: status } = useLive(() => call("/status"), { on: ["models", "load"], everyMs: 5_000 });
  const [search, setSearch] = useState("");
  const [removing, setRemoving] = useState(null);
  const [pulls, setPulls] = useState([]);
  if (data === undefined) return html`<${Waiting} error=${error}/>`;
  const match = ({ id }) => id.toLowerCase().includes(search.toLowerCase());
  const local = data.models.filter((one) => one.local && match(one));
  const far = byName(data.models.filter((one) => !one.local && match(one)));
  const loading = new Map((status?.models.loading ?? []).map((one) => [one.id, one.fraction]));
  const loaded = new Map((status?.models.loaded ?? []).map((one) => [one.id, one]));
  const begin = (ref) => setPulls((before) => [...before.filter((one) => one !== ref), ref]);
  return html`
    ${data.faults.map(({ path, reason }) => html`<p class="fault" key=${path}>${path}: ${reason}</p>`)}
    <${Card} title="Fetch a model">
      <${Fetch} onBegin=${begin}/>
      ${pulls.map((ref) =>
        html`<${Pull} key=${ref} model=${ref} onEnd=${reload} onGone=${() =>
          setPulls((before) => before.filter((one) => one !== ref))}/>`
      )}
    </${Card}>
    <${Field} label="Search"><input type="search" value=${search} onInput=${(event) =>
      setSearch(event.currentTarget.value)}/></${Field}>
    <${Card} title="Here">
      ${local.length === 0
        ? html`<${Empty}>No model here: fetch one above, or start the node with <code>--models DIR</code>.</${Empty}>`
        : html`
          <ul class="list">${local.map((model) =>
            html`
              <li key=${model.id}>
                <div><strong>${model.id}</strong> ${loaded.has(model.id)
                  ? html`<${Badge} kind="good">in memory</${Badge}>`
                  : null}
                        ${loaded.get(model.id)?.pinned ? html`<${Badge}>stays</${Badge}>` : null}
                        <small>${facts(model)}</small>
                        ${loading.has(model.id)
                          ? html`<progress max="1" value=${
                            loading.get(model.id)
                          } aria-label=${`Loading ${model.id}`}></progress>`
                          : null}</div>
                <div class="row">
                        ${loaded.has(model.id)
                          ? html`<${Act} act=${() => keep(model.id, 0)}>Unload</${Act}>`
                          : chats(model)
                          ? html`<${Act} act=${() => keep(model.id)}>Load</${Act}>`
                          : null}
                        ${chats(model)
                          ? html`<a class="act" href=${`#/chat/${encodeURIComponent(model.id)}`}>Chat</a>`
                          : null}
                        ${model.source === "own"
                          ? html`<button type="button" class="act danger" onClick=${() =>
                            setRemoving(model)}>Delete</button>`
                          : null}
                      </div>
              </li>
            `
          )}</ul>
          <p class="sum">${counted(local.length, "model")}, ${size(
            local.reduce((sum, one) => sum + one.size, 0),
          )} on the disk</p>
        `}
    </${Card}>
    <${Card} title="At neighbours and servers">
      ${far.length === 0 ? html`<${Empty}>Nothing: no neighbour that is ready offers you a model.</${Empty}>` : html`
        <ul class="list">${far.map(({ model, owners }) =>
          html`<li key=${model.id}>
        <div><strong>${model.id}</strong><small>${facts(model)} · at ${owners.join(", ")}</small></div>
        ${chats(model) ? html`<a class="act" href=${`#/chat/${encodeURIComponent(model.id)}`}>Chat</a>` : null}
      </li>`
        )}</ul>
      `}
    </${Card}>
    ${removing === null ? null : html`
      <${Confirm} title=${`Delete ${removing.id}?`} verb="Delete" onClose=${() => setRemoving(null)}
        sentence=${`Its ${size(removing.size)} are removed from the disk of this node.`} onYes=${async () => {
          await call("/models/remove", { model: removing.id });
          say(`${removing.id} is deleted.`);
          reload();
        }}/>
    `}
  `;
}

/** Loads a model into memory, or lets it go, as Ollama's clients do. @param {string} model @param {number} [keepAlive] */
async function keep(model, keepAlive) {
  await call("/api/generate", { model, ...keepAlive === undefined ? {} : { keep_alive: keepAlive } });
}

function ownerOf({ owner, asleep }) {
  return asleep ? `${owner} (asleep, a question wakes it)` : owner;
}

function byName(models) {
  const found = new Map();
  for (const model of models) {
    const known = found.get(model.id);
    if (known === undefined) found.set(model.id, { model, owners: [ownerOf(model)] });
    else known.owners.push(ownerOf(model));
  }
  return [...found.values()];
}

function facts({ parameters, quantization, size: bytes, context_length, capabilities = [], source }) {
  return [
    parameters,
    quantization,
    size(bytes),
    `${context_length.toLocaleString()} tokens`,
    capabilities.join(", "),
    source,
  ]
    .filter(Boolean).join(" · ");
}

function Fetch({ onBegin }) {
  const [ref, setRef] = useState("");
  return html`
    <form class="inline" onSubmit=${(event) => {
      event.preventDefault();
      if (ref.trim() === "") return;
      onBegin(ref.trim());
      setRef("");
    }}>
      <${Field}
        label="Name of a model"><input value=${ref} placeholder="hf.co/ORG/REPO:Q4_K_M, or a name that a neighbour offers"
          onInput=${(event) =>
            setRef(event.currentTarget.value)}/></${Field}><button class="act primary" disabled=${ref.trim() ===
            ""}>Fetch</button></form>
  `;
}

function Pull({ model, onEnd, onGone }) {
  const [line, setLine] = useState({ status: "asking" });
  const [state, setState] = useState("new");
  const stop = useRef(null);
  if (state === "new") {
    setState("runs");
    stop.current = new AbortController();
    follow(model, { signal: stop.current.signal, tell: setLine }).then(
      () => {
        setState("done");
        say(`${model} is here.`);
        onEnd();
      },
      (error) => {
        setState("failed");
        setLine((before) => ({
          ...before,
          status: stop.current.signal.aborted ? "stopped; what came is kept" : error.message,
        }));
      },
    );
  }
  const { status, total, completed, speed, seconds_left: left, sources = [] } = line;
  return html`<div class="pull"><div class="row"><strong>${model}</strong>
      ${
    state === "runs"
      ? html`<button type="button" class="act" onClick=${() => stop.current.abort()}>Stop</button>`
      : html`
        ${state === "failed"
          ? html`<button type="button" class="act" onClick=${() => setState("new")}>Go on</button>`
          : null}
        <button type="button" class="act" onClick=${onGone}>Hide</button>
      `
  }</div>
    <progress max=${total ?? 1} value=${
    state === "done" ? total ?? 1 : completed ?? (state === "runs" ? undefined : 0)
  } aria-label=${`Fetching ${model}`}></progress>
    <small role="status">${status}${total ? ` · ${size(completed ?? 0)} of ${size(total)}` : ""}${
    speed ? ` · ${size(speed)}/s` : ""
  }${left ? ` · ${span(left)} left` : ""}${
    sources.length > 0 ? ` · from ${sources.map(({ name }) => name).join(", ")}` : ""
  }</small></div>`;
}

async function follow(model, { signal, tell }) {
  for await (const text of linesOf(await open("/models/pull", { model }, { signal }))) {
    if (text === "") continue;
    const line = JSON.parse(text);
    if (line.error !== undefined) throw new Error(line.error.message);
    tell(line);
  }
}
