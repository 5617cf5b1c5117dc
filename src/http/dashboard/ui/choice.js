/** What another node may do here, chosen from presets that read as sentences. */
import { call } from "./api.js";
import { useLive } from "./live.js";
import { Field, html } from "./parts.js";

export const INITIAL_CHOICE = { preset: "ask", models: null, days: "30" };

/** The body of the call that approves. @param {{ preset: string, models: string[] | null, days: string }} choice */
export function choiceBody({ preset, models, days }) {
  return {
    preset,
    ...preset === "none" ? {} : { models: models ?? ["*"] },
    expires_at: days === "" ? null : new Date(Date.now() + Number(days) * 86_400_000).toISOString(),
  };
}

export function Choice({ who, choice, onChange }) {
  const { data } = useLive(() => call("/models"), { on: ["models"] });
  const here = [...new Set((data?.models ?? []).filter(({ local }) => local).map(({ id }) => id))];
  const set = (change) => onChange({ ...choice, ...change });
  const option = (preset, sentence) =>
    html`<label class="option"><input type="radio" name="preset" checked=${choice.preset === preset}
    onChange=${() => set({ preset })}/><span>${sentence}</span></label>`;
  return html`<fieldset class="choice"><legend class="hidden">What ${who} may do here</legend>
    ${option("ask", `${who} may ask my models, one question at a time. It cannot download them.`)}
    ${option("full", `${who} may ask my models, four questions at a time, and download them.`)}
    ${option("none", `${who} may use nothing here; I only want to use its models.`)}
    ${
    choice.preset === "none" || here.length === 0
      ? null
      : html`<details><summary>Which models: ${
        choice.models === null ? "all" : choice.models.join(", ") || "none"
      }</summary>
      ${
        here.map((id) =>
          html`<label class="option" key=${id}><input type="checkbox" checked=${
            choice.models === null || choice.models.includes(id)
          }
        onChange=${(event) => {
            const before = choice.models ?? here;
            const models = event.currentTarget.checked
              ? [...new Set([...before, id])]
              : before.filter((one) => one !== id);
            set({ models: models.length === here.length ? null : models });
          }}/><span>${id}</span></label>`
        )
      }</details>`
  }
    <${Field} label="For how long"><select value=${choice.days} onChange=${(event) =>
    set({ days: event.currentTarget.value })}>
      <option value="1">a day</option><option value="7">a week</option><option value="30">30 days</option>
      <option value="365">a year</option><option value="">until I revoke it</option></select></${Field}>
  </fieldset>`;
}
