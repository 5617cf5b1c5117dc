/** What the node is set to, and by whom; what can be changed without an editor is changed here. */
import { useState } from "preact/hooks";
import { call } from "./api.js";
import { useLive } from "./live.js";
import { Act, Badge, Card, Dialog, Field, html, say, Switch, Waiting } from "./parts.js";

/** In this order; what is in none stands under the last one. */
const GROUPS = [
  ["Limits", "slots max-queued max-loaded context keep-alive vram-reserve upload-limit threads gpu drain"],
  [
    "Sharing",
    "share-hours yield on-yield seed-models seed-hours show-hardware share-upstreams accept-copies approve-models",
  ],
  ["Listeners", "listen mesh-listen ollama-port require-keys allow-host allow-origin peer no-mdns wireguard"],
  ["Registry", "registry registry-endpoint registry-model registry-listen tls-cert tls-key"],
];
const ORIGINS = { flag: "command line", environment: "environment", file: "file", preset: "preset" };

/** @param {any} one */
function valueOf({ value, help, takes }) {
  if (value === null || value === false) {
    return takes === null ? "off" : /\(default: (.*)\)/.exec(help)?.[1] ?? "not set";
  }
  return value === true ? "on" : Array.isArray(value) ? value.join(", ") : value;
}

function meaningOf({ help }) {
  const text = help.replace(/ \(default: .*\)/, "").replace(/; may be repeated$/, "");
  return text[0].toUpperCase() + text.slice(1);
}

export function Setup() {
  const { data, error, reload } = useLive(() => call("/settings"), { everyMs: 15_000 });
  const [changing, change] = useState(null);
  if (data === undefined) {
    return html`
      <${Card} title="Configuration">
        <${Waiting} error=${error}/>
          </${Card}>
    `;
  }
  const named = new Set(GROUPS.flatMap(([, names]) => names.split(" ")));
  const rest = data.settings.filter(({ name }) => !named.has(name)).map(({ name }) => name).join(" ");
  const waits = data.settings.filter((one) => one.waits);
  return html`
    <${Card} title="Configuration">
      ${waits.length === 0
        ? null
        : html`<p class="hint" role="status">${
          waits.map(({ name }) => name).join(", ")
        } changed: that counts when the node is started again.</p>`}
      ${[...GROUPS, ["Everything else", rest]].map(([title, names]) =>
        html`
          <${Group} key=${title} title=${title} onChange=${change}
            settings=${names.split(" ").flatMap((name) => data.settings.filter((one) => one.name === name))}/>
        `
      )}
      <p class="empty">The file is <code>${data.file}</code>; what cannot be changed here is written there.</p>
      </${Card}>
      ${changing === null ? null : html`
        <${Change} key=${changing.name} one=${changing} onClose=${() => change(null)} onDone=${reload}/>
      `}
  `;
}

function Group({ title, settings, onChange }) {
  const given = settings.filter(({ from }) => from !== "default").length;
  return html`
    <details class="settings">
      <summary>${title}${given > 0
        ? html`
          <small>${given} set</small>
        `
        : null}</summary>
      <ul class="list">${settings.map((one) =>
        html`
          <li key=${one.name}>
            <div><strong>${one.name}</strong> ${valueOf(one)}<small>${meaningOf(one)}</small></div>
            ${ORIGINS[one.from] === undefined ? null : html`<${Badge}>${ORIGINS[one.from]}</${Badge}>`}
            ${one.waits ? html`<${Badge} kind="warn">next start</${Badge}>` : null}
            ${one.changes
              ? html`
                <button type="button" class="act" aria-label=${`Change ${one.name}`}
                  onClick=${() => onChange(one)}>Change</button>
              `
              : null}
          </li>
        `
      )}</ul>
    </details>
  `;
}

function Change({ one, onClose, onDone }) {
  const { name, value, takes, multiple } = one;
  const [text, setText] = useState(Array.isArray(value) ? value.join("\n") : value === null ? "" : value);
  const save = (next) => async () => {
    await call("/settings", { name, value: next });
    say(`${name} is written down.`);
    onDone();
    onClose();
  };
  const wanted = () => multiple ? String(text).split("\n").map((line) => line.trim()).filter(Boolean) : text;
  const field = takes === null
    ? html`<${Switch} checked=${text === true} onChange=${setText}>${name}</${Switch}>`
    : html`
      <${Field} label=${takes} hint=${multiple ? "one on each line" : ""}>${multiple
        ? html`<textarea rows="3" value=${text} onInput=${(event) => setText(event.currentTarget.value)}/>`
        : html`<input value=${text} onInput=${(event) => setText(event.currentTarget.value)}/>`}</${Field}>
    `;
  return html`
    <${Dialog} title=${name} onClose=${onClose}>
      <p>${meaningOf(one)}.</p>
      ${field}
      <div class="row end">
        ${one.from === "file" ? html`<${Act} act=${save(null)}>Back to the usual</${Act}>` : null}
        <${Act} kind="primary" act=${() => save(wanted())()}>Save</${Act}>
      </div>
      </${Dialog}>
  `;
}
