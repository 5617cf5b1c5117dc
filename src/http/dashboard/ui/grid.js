/** Grid: what all nodes have together, what would be lost, and how the last hours were. */
import { call } from "./api.js";
import { useLive } from "./live.js";
import { Badge, Card, Empty, Figure, html, Waiting } from "./parts.js";
import { percent, size } from "./format.js";
import { Plot } from "./plot.js";
import { hardwareOf } from "./map.js";

export function Grid() {
  const { data: grid, error } = useLive(() => call("/grid"), { on: ["peer", "models"], everyMs: 5_000 });
  const { data: history } = useLive(() => call("/api/v1/history"), { everyMs: 10_000 });
  if (grid === undefined) return html`<${Waiting} error=${error}/>`;
  const { totals } = grid;
  return html`
    <div class="figures card">
      <${Figure} value=${`${totals.ready} of ${totals.nodes}`} label="nodes ready" />
      <${Figure} value=${totals.models} label=${totals.models === 1
        ? "model"
        : "models"} note=${`${totals.single_copies} on one node only`}/>
        <${Figure} value=${totals.slots} label=${totals.slots === 1 ? "answer at once" : "answers at once"} />
        <${Figure} value=${totals.gpus} label=${totals.gpus === 1 ? "GPU" : "GPUs"} note=${totals.gpu_memory > 0
          ? `${size(totals.gpu_memory)} of memory`
          : ""}/>
          <${Figure} value=${size(totals.memory)} label="memory" note=${totals.hardware_unknown > 0
            ? `${totals.hardware_unknown} do not show theirs`
            : ""}/>
    </div>
    ${history === undefined ? null : html`<${History} history=${history}/>`}
    ${(history?.energy?.samples ?? []).length === 0
      ? null
      : html`<${Energy} energy=${history.energy} now=${history.now}/>`}
    <${Card} title="Redundancy">
      ${grid.models.length === 0 ? html`<${Empty}>There is no model within reach.</${Empty}>` : html`
        <div class="scroll" tabindex="0" role="region" aria-label="Redundancy">
          <table>
            <thead>
              <tr>
                <th>Model</th>
                <th>Size</th>
                <th>Copies</th>
                <th>In memory</th>
                <th>Where</th>
              </tr>
            </thead>
            <tbody>${grid.models.slice(0, 200).map((model) =>
              html`
                <tr key=${model.digest ?? model.id}>
                  <td>${model.id}</td>
                  <td>${size(model.size)}</td>
                  <td>${model.copies === 1
                    ? html`<${Badge} kind="warn">1</${Badge}>`
                    : html`<${Badge} kind="good">${model.copies}</${Badge}>`}</td>
                  <td>${model.loaded}</td>
                  <td>${model.nodes.slice(0, 4).join(", ")}${model.nodes.length > 4 ? " …" : ""}</td>
                </tr>
              `
            )}</tbody>
          </table>
        </div>
      `}
    </${Card}>
    <${Card} title="Nodes"><div class="scroll" tabindex="0" role="region" aria-label="Nodes"><table><thead><tr><th>Node</th><th>State</th><th>Models</th><th>Hardware</th><th>Without it</th></tr></thead>
      <tbody>${grid.nodes.slice(0, 500).map((node) =>
        html`
          <tr key=${node.node_id ?? node.name}>
            <td>${node.name}</td>
            <td>${node.kind === "own" ? "this node" : node.state}</td>
            <td>${node.models.length}</td>
            <td>${node.hardware === null ? "not shown" : hardwareOf(node.hardware)}</td>
            <td>${lossOf(node.loss)}</td>
          </tr>
        `
      )}</tbody></table></div></${Card}>
  `;
}

function lossOf({ models, capacity_share: share }) {
  const parts = [
    models.length > 0 ? `${models.slice(0, 3).join(", ")}${models.length > 3 ? " …" : ""} would be gone` : null,
    share ? `${percent(share)} less at once` : null,
  ].filter(Boolean);
  return parts.length === 0 ? "nothing would be lost" : parts.join("; ");
}

function History({ history }) {
  const { samples, step_ms: step, now } = history;
  if (samples.length === 0) {
    return html`
      <${Card} title="The last hours">
        <${Empty}>No request has ended yet.</${Empty}></${Card}>
    `;
  }
  const begin = Math.floor(Math.min(samples[0].at, now - 10 * 60_000) / step) * step;
  const known = new Map(samples.map((sample) => [sample.at, sample]));
  const times = [];
  for (let at = begin; at <= now; at += step) times.push(at);
  const series = (pick) => times.map((at) => known.has(at) ? pick(known.get(at)) : pick(null));
  const xs = times.map((at) => at / 1_000);
  return html`
    <${Card} title="The last hours">
      <${Plot} label="Tokens per second" xs=${xs} ys=${series((one) =>
        one === null ? 0 : one.tokens / (step / 1_000)
      )}/>
        <${Plot} label="Time to the first token in milliseconds (median)" xs=${xs} ys=${series((one) =>
          one?.first_token_ms ?? null
        )} points />
        <${Plot} label="Requests a minute" xs=${xs} ys=${series((one) =>
          one === null ? 0 : one.requests * 60_000 / step
        )}/>
          </${Card}>
  `;
}

const POWER_OF = {
  machine: "the whole machine, by its battery",
  processor: "processor and memory",
  gpu: "GPU",
  processor_and_gpu: "processor, memory and GPU",
};

/** What power this machine took: of no other one is that known. */
function Energy({ energy: { samples, step_ms: step, of }, now }) {
  const begin = Math.min(samples[0].at, Math.floor((now - 10 * 60_000) / step) * step);
  const known = new Map(samples.map((sample) => [sample.at, sample]));
  const times = [];
  for (let at = begin; at <= now; at += step) times.push(at);
  const xs = times.map((at) => at / 1_000);
  const each = times.map((at) => known.get(at)?.joules_per_token ?? null);
  return html`
    <${Card} title="Energy of this node">
      <${Plot} label=${`Power in watts (${POWER_OF[of] ?? "what this machine tells"})`} xs=${xs}
        ys=${times.map((at) => known.get(at)?.watts ?? null)} />
      ${each.every((one) => one === null) ? null : html`
        <${Plot} label="Joules for each token written here, with all that was taken in the same minute" xs=${xs}
          ys=${each} points />
      `}
    </${Card}>
  `;
}
