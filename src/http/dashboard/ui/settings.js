/** Settings: who this node is, who reaches it, its keys, and what the doctor says. */
import { useState } from "preact/hooks";
import { call } from "./api.js";
import { useLive } from "./live.js";
import { Act, Badge, Card, Confirm, Copy, Empty, Field, html, say, Waiting } from "./parts.js";
import { ago } from "./format.js";
import { Setup } from "./setup.js";

export function Settings() {
  const { data: status, error } = useLive(() => call("/status"), { everyMs: 15_000 });
  if (status === undefined) return html`<${Waiting} error=${error}/>`;
  return html`
    <${Card} title="This node">
      <dl class="facts">
        <dt>Name</dt>
        <dd>${status.name}</dd>
        <dt>Roles</dt>
        <dd>${status.roles.join(", ")}</dd>
        <dt>For apps</dt>
        <dd>
          <${Copy} text=${`${status.api}/v1`}/>
            </dd>
            <dt>For neighbours</dt>
            <dd>${status.mesh}</dd>
            <dt>Key</dt>
            <dd>
              <${Copy} text=${status.public_key}/>
                </dd>
                <dt>Program</dt>
                <dd>ark-node ${status.version}, process ${status.pid}</dd>
                </dl>
                </${Card}>
                <${Setup} />
                <${Doctor} />
                <${Keys} />
                <${Upstreams} upstreams=${status.upstreams}/>
                  <${Invitations} />
  `;
}

const LEVELS = { ok: ["good", "fine"], warning: ["warn", "look at this"], danger: ["bad", "danger"] };

function Doctor() {
  const { data, error, reload } = useLive(() => call("/doctor"));
  return html`<${Card} title="Doctor" actions=${html`<${Act} act=${reload}>Look again</${Act}>`}>
    ${
    data === undefined ? html`<${Waiting} error=${error}/>` : html`<ul class="list">${
      data.findings.map((one, i) =>
        html`
          <li key=${i}>
            <div>${one.sentence}${one.why ? html`<small>${one.why}.</small>` : null}${one.fix
              ? html`<small>${one.fix}</small>`
              : null}</div>
            <${Badge} kind=${LEVELS[one.level]?.[0]}>${LEVELS[one.level]?.[1] ?? one.level}</${Badge}></li>
        `
      )
    }</ul>`
  }
  </${Card}>`;
}

function Keys() {
  const { data, error, reload } = useLive(() => call("/keys"));
  const [name, setName] = useState("");
  const [models, setModels] = useState("");
  const [made, setMade] = useState(null);
  const [revoking, setRevoking] = useState(null);
  if (data === undefined) {
    return html`
      <${Card} title="API keys">
        <${Waiting} error=${error}/>
          </${Card}>
    `;
  }
  return html`<${Card} title="API keys">
    <p>${
    data.required
      ? "Every app needs a key."
      : "Apps on this machine need no key. With one, an app can be limited and told from the others."
  }</p>
    ${
    made === null
      ? null
      : html`<div class="hint" role="status">The key of ${made.name}, which is shown only now: <${Copy} text=${made.text}/></div>`
  }
    ${
    data.keys.length === 0
      ? html`<${Empty}>There is none.</${Empty}>`
      : html`<ul class="list">${
        data.keys.map((key) =>
          html`<li key=${key.id}>
      <div><strong>${key.name}</strong><small>${key.models?.length ? key.models.join(", ") : "any model"}${
            key.local_only ? " · stays on this machine" : ""
          }${key.created_at ? ` · made ${ago(key.created_at)}` : ""}</small></div>
      ${
            key.revoked_at
              ? html`<${Badge}>revoked</${Badge}>`
              : html`<button type="button" class="act danger" onClick=${() => setRevoking(key)}>Revoke</button>`
          }</li>`
        )
      }</ul>`
  }
    <form class="inline" onSubmit=${(event) => event.preventDefault()}>
      <${Field} label="A key for"><input value=${name} placeholder="open-webui" onInput=${(event) =>
    setName(event.currentTarget.value)}/></${Field}>
      <${Field} label="Its models" hint="empty for all"><input value=${models} onInput=${(event) =>
    setModels(event.currentTarget.value)}/></${Field}>
      <${Act} disabled=${name.trim() === ""} act=${async () => {
    const list = models.split(",").map((one) => one.trim()).filter(Boolean);
    const { key, text } = await call("/keys", { name: name.trim(), ...list.length === 0 ? {} : { models: list } });
    setMade({ name: key.name, text });
    setName("");
    setModels("");
    reload();
  }}>Make a key</${Act}></form>
    ${
    revoking === null ? null : html`
      <${Confirm} title=${`Revoke the key of ${revoking.name}?`} verb="Revoke" onClose=${() => setRevoking(null)}
        sentence="The app that has it is turned away from now on." onYes=${async () => {
          await call("/keys/revoke", { key: revoking.id ?? revoking.name });
          say(`The key of ${revoking.name} is revoked.`);
          reload();
        }}/>
    `
  }
  </${Card}>`;
}

function Upstreams({ upstreams }) {
  return html`<${Card} title="Servers behind this node">
    ${
    upstreams.length === 0
      ? html`<${Empty}>None. Ollama, llama.cpp's server, vLLM or a hosted API is added with <code>--upstream URL</code>.</${Empty}>`
      : html`<ul class="list">${
        upstreams.map((one) =>
          html`
            <li key=${one.name}>
              <div><strong>${one.name}</strong><small>${one.url}${one.reason ? ` · ${one.reason}` : ""}</small></div>
              <${Badge} kind=${one.ready ? "good" : "bad"}>${one.ready ? "ready" : "not ready"}</${Badge}></li>
          `
        )
      }</ul>`
  }
  </${Card}>`;
}

function Invitations() {
  const { data, reload } = useLive(() => call("/invites"), { on: ["peer"] });
  if (data === undefined || data.invitations.length === 0) return null;
  return html`
    <${Card} title="Invitations">
      <ul class="list">${data.invitations.map((one) =>
        html`<li key=${one.id}>
    <div><strong>${one.name ?? "for whoever has the link"}</strong><small>made ${ago(one.created_at)}${
          one.verified === false ? " · words not compared yet" : ""
        }</small></div>
    ${
          one.state === "open"
            ? html`<${Act} act=${async () => {
              await call("/invites/revoke", { id: one.id });
              reload();
            }}>Take back</${Act}>`
            : html`<${Badge}>${one.state}</${Badge}>`
        }</li>`
      )}</ul>
      </${Card}>
  `;
}
