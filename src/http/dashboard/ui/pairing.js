/** Pairing by words: both owners look at four words, and each says what the other may do. */
import { useState } from "preact/hooks";
import { call } from "./api.js";
import { Act, Card, Field, html, say } from "./parts.js";
import { Choice, choiceBody, INITIAL_CHOICE } from "./choice.js";
import { counted, short } from "./format.js";

const OPEN = ["opening", "comparing", "choosing"];

/** All pairings that go on. */
export function Pairings({ pairings, onChange }) {
  return pairings.filter(({ phase }) => OPEN.includes(phase)).map((pairing) =>
    html`<${Pairing} key=${pairing.session} pairing=${pairing} onChange=${onChange}/>`
  );
}

function Pairing({ pairing, onChange }) {
  const [choice, setChoice] = useState(INITIAL_CHOICE);
  const { session, words, phase, mine } = pairing;
  const decide = async (act) => {
    await call(`/peers/pair/${session}/${act}`, {});
    onChange();
  };
  const who = pairing.name ?? short(pairing.node_id);
  return html`<${Card} title=${`Pairing with ${who}`} class="attention">
    <p aria-live="polite">${pairing.sentence}</p>
    ${
    pairing.looks_like
      ? html`<p class="fault">Its name looks like that of ${pairing.looks_like}, and it is another node.</p>`
      : null
  }
    ${
    words === null ? null : html`
      <div class="sides">
        <div><small>This screen</small><p class="words" aria-label=${words.join(" ")}>${words.map((word, i) =>
          html`<span key=${i}>${word}</span>`
        )}</p>
              <small>${said(mine)}</small></div>
        <div><small>The other screen</small><p class="words ghost" aria-hidden="true">${words.map((_, i) =>
          html`<span key=${i}>?</span>`
        )}</p>
              <small>${pairing.theirs === "waiting" ? "its owner is still looking" : said(pairing.theirs)}</small></div>
      </div>
    `
  }
    ${
    phase === "comparing" && mine === "waiting"
      ? html`
        <div class="row">
          <${Act} kind="primary" act=${() => decide("match")}>The words are the same</${Act}>
              <${Act} kind="danger" act=${() => decide("different")}>They differ</${Act}>
              <${Act} act=${() => decide("cancel")}>Cancel</${Act}></div>
      `
      : null
  }
    ${
    phase === "choosing" && mine !== "approved"
      ? html`
        <h3>What may ${who} do here?</h3>
        <${Choice} who=${who} choice=${choice} onChange=${setChoice}/>
          <div class="row">
            <${Act} kind="primary" act=${async () => {
              const answer = await call(`/peers/pair/${session}/approve`, choiceBody(choice));
              say(answer.summary ?? `${who} is approved.`);
              onChange();
            }}>Let it in</${Act}>
                <${Act} act=${() => decide("cancel")}>Cancel</${Act}></div>
      `
      : null
  }
    <small>${counted(Math.max(0, Math.round(pairing.left_ms / 1_000)), "second")} left for this step</small>
  </${Card}>`;
}

/** @param {string} decision */
function said(decision) {
  switch (decision) {
    case "waiting":
      return "not decided yet";
    case "matched":
      return "said: the same";
    case "different":
      return "said: different";
    case "approved":
      return "has let the other in";
    default:
      return decision;
  }
}

/** Begins a pairing with a node that nobody announced. */
export function PairByAddress({ onChange }) {
  const [address, setAddress] = useState("");
  return html`
    <form class="inline" onSubmit=${(event) => event.preventDefault()}>
      <${Field}
        label="Pair with a node by its address"><input value=${address} placeholder="192.168.1.20:8911" inputmode="url"
          onInput=${(event) => setAddress(event.currentTarget.value)}/></${Field}>
        <${Act} disabled=${address.trim() === ""} act=${async () => {
          await call("/peers/pair", { address: address.trim() });
          setAddress("");
          onChange();
        }}>Pair</${Act}></form>
  `;
}
