// deno-lint-ignore-file no-boolean-literal-for-arguments -- that is how setters of hooks are called
/** A small chat over the node's own API: any model of the grid, and who answered. */
import { useEffect, useRef, useState } from "preact/hooks";
import { call, eventsOf, open } from "./api.js";
import { useLive } from "./live.js";
import { Empty, html, Switch } from "./parts.js";
import { chats, counted, millis } from "./format.js";

/** What was said, while the page is open. */
let kept = [];

export function Chat({ rest: [wanted] }) {
  const { data } = useLive(() => call("/models"), { on: ["models", "peer"] });
  const ids = [...new Set((data?.models ?? []).filter(chats).map(({ id }) => id))];
  const [model, setModel] = useState(wanted ?? "");
  const [said, setSaid] = useState(kept);
  const [text, setText] = useState("");
  const [localOnly, setLocalOnly] = useState(false);
  const stop = useRef(null);
  const [busy, setBusy] = useState(false);
  const end = useRef(null);
  useEffect(() => {
    kept = said;
    end.current?.scrollIntoView({ block: "end" });
  }, [said]);
  useEffect(() => () => stop.current?.abort(), []);
  const chosen = model !== "" ? model : ids[0] ?? "";
  const ask = async () => {
    const question = text.trim();
    if (question === "" || busy || chosen === "") return;
    const before = [...said, { role: "user", content: question }];
    setText("");
    setBusy(true);
    stop.current = new AbortController();
    let answer = { role: "assistant", content: "", reasoning: "", model: chosen };
    const show = (change) => {
      answer = { ...answer, ...change };
      setSaid([...before, answer]);
    };
    show({});
    const began = performance.now();
    try {
      const messages = before.filter(({ failed }) => !failed).map(({ role, content }) => ({ role, content }));
      const response = await open("/v1/chat/completions", {
        model: chosen,
        messages,
        stream: true,
        stream_options: { include_usage: true },
      }, { signal: stop.current.signal, headers: localOnly ? { "x-ark-local-only": "1" } : {} });
      show({ node: response.headers.get("x-ark-node"), reason: response.headers.get("x-ark-reason") });
      await read(response, { show, began, answer: () => answer });
    } catch (error) {
      show(stop.current.signal.aborted ? { stopped: true } : { failed: true, error: error.message });
    }
    show({ ms: performance.now() - began, done: true });
    setBusy(false);
  };
  return html`
    <div class="chat">
      <div class="row"><label class="field grow"><span>Model</span><select value=${chosen} onChange=${(event) =>
        setModel(event.currentTarget.value)}>
          ${ids.includes(chosen) || chosen === "" ? null : html`<option value=${chosen}>${chosen}</option>`}
          ${ids.map((id) => html`<option key=${id} value=${id}>${id}</option>`)}</select></label>
          <${Switch} checked=${localOnly} onChange=${setLocalOnly}>Keep it on this machine</${Switch}>
          <button type="button" class="act" disabled=${busy || said.length === 0} onClick=${() =>
            setSaid([])}>Begin anew</button></div>
        <div class="said" role="log" aria-label="Conversation" tabindex="0">
          ${said.length === 0
            ? html`<${Empty}>Ask something: the best node of the grid answers. Nothing of it is stored.</${Empty}>`
            : null}
          ${said.map((one, i) => html`<${Said} key=${i} one=${one}/>`)}
          <div ref=${end}></div>
        </div>
        <form class="ask" onSubmit=${(event) => {
          event.preventDefault();
          ask();
        }}>
          <textarea rows="3" value=${text} aria-label="Your question" placeholder="Your question; Enter sends it, Shift and Enter begins a line"
            onInput=${(event) => setText(event.currentTarget.value)} onKeyDown=${(event) => {
              if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
                event.preventDefault();
                ask();
              }
            }}></textarea>
          ${busy
            ? html`<button type="button" class="act danger" onClick=${() => stop.current.abort()}>Stop</button>`
            : html`<button class="act primary" disabled=${text.trim() === "" || chosen === ""}>Ask</button>`}
        </form></div>
  `;
}

async function read(response, { show, began, answer }) {
  let complete = false;
  for await (const data of eventsOf(response)) {
    if (data === "[DONE]") {
      complete = true;
      continue;
    }
    const { choices = [], usage, error } = JSON.parse(data);
    if (error) throw new Error(error.message);
    const { delta = {}, finish_reason: finish } = choices[0] ?? {};
    const { content = "", reasoning_content: reasoning = "" } = delta;
    if ((content || reasoning) && answer().first === undefined) show({ first: performance.now() - began });
    if (content || reasoning) {
      show({ content: answer().content + (content ?? ""), reasoning: answer().reasoning + (reasoning ?? "") });
    }
    if (finish) show({ finish });
    if (usage) show({ usage });
  }
  if (!complete) throw new Error("The answer was cut off; what is here is not all of it.");
}

function Said({ one }) {
  if (one.role === "user") {
    return html`
      <div class="bubble user">
        <p>${one.content}</p>
      </div>
    `;
  }
  const { usage, ms, first } = one;
  const rate = usage && ms && first !== undefined && ms > first
    ? usage.completion_tokens / ((ms - first) / 1_000)
    : null;
  return html`<div class="bubble" aria-busy=${!one.done}>
    ${
    one.reasoning
      ? html`
        <details>
          <summary>Its thoughts</summary>
          <p>${one.reasoning}</p>
        </details>
      `
      : null
  }
    <p>${one.content}${one.done ? null : html`<span class="caret" aria-hidden="true"></span>`}</p>
    ${one.error ? html`<p class="fault" role="alert">${one.error}</p>` : null}
    <small>${
    [
      one.node ? `answered by ${one.node}` : null,
      one.reason,
      first === undefined ? null : `first token after ${millis(first)}`,
      usage ? counted(usage.completion_tokens, "token") : null,
      rate ? `${rate.toFixed(1)} tokens/s` : null,
      one.stopped ? "stopped" : null,
      one.finish === "length" ? "ended by its length" : null,
    ].filter(Boolean).join(" · ")
  }</small></div>`;
}
