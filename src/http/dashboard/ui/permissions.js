/** What an approved neighbour may do, as switches and as the sentence that they make. */
import { useState } from "preact/hooks";
import { call } from "./api.js";
import { useLive } from "./live.js";
import { Act, Dialog, Field, html, say, Switch } from "./parts.js";

export function Permissions({ peer, onClose, onChange }) {
  const [may, setMay] = useState(peer.permissions);
  const [until, setUntil] = useState(peer.expires_at?.slice(0, 10) ?? "");
  const [name, setName] = useState(peer.name);
  const [model, setModel] = useState("");
  const { data: why } = useLive(
    () =>
      model === "" ? Promise.resolve(null) : call(`/peers/why?peer=${peer.node_id}&model=${encodeURIComponent(model)}`),
    { deps: [model] },
  );
  const { data: models } = useLive(() => call("/models"), { on: ["models"] });
  const ids = [...new Set((models?.models ?? []).map(({ id }) => id))];
  const set = (change) => setMay({ ...may, ...change });
  const number = (field, label, hint) =>
    html`<${Field} label=${label} hint=${hint}><input type="number" min="1" value=${may[field] ?? ""}
    onInput=${(event) => {
      const { [field]: _, ...rest } = may;
      setMay(event.currentTarget.value === "" ? rest : { ...rest, [field]: Number(event.currentTarget.value) });
    }}/></${Field}>`;
  return html`
    <${Dialog} title=${`What ${peer.name} may do here`} onClose=${onClose}>
      <${Switch} checked=${may.can_request_inference} onChange=${(on) =>
        set({ can_request_inference: on })}>It may ask my models</${Switch}>
        <${Switch} checked=${may.can_pull_models} onChange=${(on) =>
          set({ can_pull_models: on })}>It may download my models</${Switch}>
        <${Field} label="Which models" hint="names with commas between; * stands for any text">
          <input value=${may.models_shared.join(", ")} onChange=${(event) =>
            set({
              models_shared: event.currentTarget.value.split(",").map((one) => one.trim()).filter(Boolean),
            })}/></${Field}>
        <div class="columns">
          ${number("max_concurrent_requests", "Questions at a time")}
          ${number("max_requests_per_minute", "Questions a minute", "empty for any number")}
          ${number("max_tokens_per_day", "Tokens a day", "empty for any number")}
          ${number("max_tokens_per_request", "Longest answer in tokens")}
          <${Field} label="Until" hint="empty for until you revoke it"><input type="date" value=${until}
            onInput=${(event) => setUntil(event.currentTarget.value)}/></${Field}>
          <${Field} label="Its name for you"><input value=${name} onInput=${(event) =>
            setName(event.currentTarget.value)}/></${Field}>
        </div>
        <div class="row end"><button type="button" onClick=${onClose}>Cancel</button>
          <${Act} kind="primary" act=${async () => {
            const { summary } = await call("/peers/approve", {
              node_id: peer.node_id,
              name,
              permissions: may,
              ...peer.paused ? { paused: true } : {},
              ...peer.verified === false ? { verified: false } : {},
              ...until === "" ? {} : { expires_at: `${until}T23:59:59Z` },
            });
            say(summary);
            onChange();
            onClose();
          }}>Save</${Act}></div>
        <hr/>
        <${Field} label="Why may it not use …" hint="and why you may not use it there">
          <select value=${model} onChange=${(event) =>
            setModel(event.currentTarget.value)}><option value="">choose a model</option>
            ${ids.map((id) => html`<option key=${id} value=${id}>${id}</option>`)}</select></${Field}>
        ${why ? html`<p>${[why.sentence, ...why.details ?? []].filter(Boolean).join(" ")}</p>` : null}
      </${Dialog}>
  `;
}
