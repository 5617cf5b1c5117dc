/** Activity: requests and their journeys, and the audit log with its verification. */
import { useState } from "preact/hooks";
import { call } from "./api.js";
import { useLive } from "./live.js";
import { Act, Badge, Card, Empty, Field, html, Waiting } from "./parts.js";
import { clock, counted, millis, short } from "./format.js";
import { Rows } from "./rows.js";
import { senderOf } from "./home.js";

export function Activity() {
  return html`
    <${Requests} />
    <${Audit} />
  `;
}

function Requests() {
  const [filter, setFilter] = useState("");
  const [opened, setOpened] = useState(null);
  const { data, error } = useLive(() => call("/api/v1/requests?count=200"), { on: ["journey"] });
  if (data === undefined) return html`<${Waiting} error=${error}/>`;
  const shown = data.requests.toReversed().filter((one) =>
    `${one.model} ${one.from} ${one.sender ?? ""} ${one.answered_by ?? ""} ${one.outcome ?? "running"}`.toLowerCase()
      .includes(filter.toLowerCase())
  );
  return html`
    <${Card} title="Requests">
      <${Field} label="Filter"
        hint="a model, a node, ok, running, or a kind of failure"><input type="search" value=${filter}
          onInput=${(event) => setFilter(event.currentTarget.value)}/></${Field}>
        ${shown.length === 0 ? html`<${Empty}>No request yet since this node started.</${Empty}>` : html`
          <div class="scroll" tabindex="0" role="region" aria-label="Requests">
            <table>
              <thead>
                <tr>
                  <th>When</th>
                  <th>Model</th>
                  <th>Asked by</th>
                  <th>Answered by</th>
                  <th>Tokens</th>
                  <th>First token</th>
                  <th>Whole</th>
                  <th>How</th>
                </tr>
              </thead>
              <tbody>${shown.slice(0, 100).map((one) =>
                html`<${Request} key=${one.seq} one=${one} opened=${opened === one.seq} onOpen=${() =>
                  setOpened(opened === one.seq ? null : one.seq)}/>`
              )}</tbody>
            </table>
          </div>
        `}
      </${Card}>
  `;
}

function Request({ one, opened, onOpen }) {
  const how = one.outcome === null ? ["warn", "running"] : one.outcome === "ok" ? ["good", "ok"] : ["bad", one.outcome];
  return html`
    <tr class="open" onClick=${onOpen}>
      <td><button type="button" class="disclose" aria-expanded=${opened} aria-label="Its journey">${opened
        ? "▾"
        : "▸"}</button> ${clock(one.at)}</td>
      <td>${one.model}</td>
      <td>${senderOf(one).replace("asked ", "")}</td>
      <td>${one.answered_by ?? "–"}</td>
      <td>${one.tokens}</td>
      <td>${millis(one.first_token_ms)}</td>
      <td>${millis(one.total_ms)}</td>
      <td>
        <${Badge} kind=${how[0]}>${how[1]}</${Badge}>${one.continued > 0
          ? html`
            <${Badge} kind="warn">went on elsewhere</${Badge}>
          `
          : null}</td></tr>
        ${opened
          ? html`
            <tr>
              <td colspan="8">
                <ol class="journey">
                  ${one.candidates.length === 0
                    ? null
                    : html`<li><small>0 ms</small> ${counted(one.candidate_count, "candidate")}: ${
                      one.candidates.slice(0, 4).map(({ name, estimate_ms }) =>
                        `${name}${estimate_ms === null ? "" : ` (${millis(estimate_ms)})`}`
                      ).join(", ")
                    }</li>`}
                  ${one.steps.map((step, i) =>
                    html`<li key=${i} class=${step.type}><small>${millis(step.ms)}</small> ${stepWords(step)}</li>`
                  )}
                </ol>
              </td>
            </tr>
          `
          : null}
  `;
}

function stepWords({ type, name, hedge, code, tokens, gap_ms: gap }) {
  switch (type) {
    case "asked":
      return hedge ? `${name} asked beside the first` : `${name} asked`;
    case "woken":
      return `${name} was woken, since only it has the model`;
    case "began":
      return `${name} began to answer`;
    case "failed":
      return `${name} failed (${code}) after ${counted(tokens ?? 0, "token")}`;
    case "continued":
      return `${name} went on after ${counted(tokens ?? 0, "token")}; the reader waited ${millis(gap)}`;
    default:
      return `${type} ${name}`;
  }
}

function Audit() {
  const [verdict, setVerdict] = useState(null);
  const { data, error, reload } = useLive(() => call("/audit?count=1"), {
    on: ["request", "peer", "audit"],
    everyMs: 10_000,
  });
  if (data === undefined) return html`<${Waiting} error=${error}/>`;
  const last = data.entries.at(-1)?.seq ?? 0;
  return html`<${Card} title="Audit" actions=${html`<${Act} act=${async () => {
    setVerdict(null);
    setVerdict(await call("/audit/verify"));
    reload();
  }}>Verify</${Act}>`}>
    ${data.fault ? html`<p class="fault" role="alert">${data.fault}</p>` : null}
    ${
    verdict === null
      ? null
      : html`<p class=${verdict.ok ? "hint" : "fault"} role="status">${
        verdict.ok
          ? `All ${counted(verdict.entries ?? last, "entry", "entries")} are as they were written.`
          : verdict.sentence ?? verdict.reason ?? "The log was changed."
      }</p>`
  }
    ${
    last === 0 ? html`<${Empty}>Nothing was recorded yet.</${Empty}>` : html`
      <${Rows} total=${last} head=${["No.", "When", "What", "Direction", "Peer", "Model", "Tokens", "How"]}
        load=${async (from, count) => (await call(`/audit?before=${from + 1}&count=${count}`)).entries}
        row=${(
          one,
        ) => [
          one.seq,
          new Date(one.at).toLocaleString(),
          one.kind,
          one.direction ?? "",
          // Not every entry is about somebody.
          one.peer ? short(one.peer) : "",
          one.model ?? "",
          one.completion_tokens ?? "",
          one.outcome ?? "",
        ]}/>
    `
  }
  </${Card}>`;
}
