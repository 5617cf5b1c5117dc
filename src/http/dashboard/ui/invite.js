/** A link that lets one node in, once. */
import { useState } from "preact/hooks";
import { call } from "./api.js";
import { Act, Copy, Dialog, Field, html, say } from "./parts.js";
import { Choice, choiceBody, INITIAL_CHOICE } from "./choice.js";
import { day } from "./format.js";

export function Invite({ onClose }) {
  const [choice, setChoice] = useState(INITIAL_CHOICE);
  const [at, setAt] = useState("");
  const [made, setMade] = useState(null);
  const [link, setLink] = useState("");
  return html`<${Dialog} title="Invite a node" onClose=${onClose}>
    ${
    made === null
      ? html`
        <${Choice} who="Whoever accepts" choice=${choice} onChange=${setChoice}/>
          <${Field} label="Where this node can be reached from outside"
            hint="leave it empty where both are in one network or VPN">
                <input value=${at} placeholder="ark.example.org:8911" onInput=${(event) =>
                  setAt(event.currentTarget.value)}/></${Field}>
              <div class="row end"><${Act} kind="primary" act=${async () => {
                setMade(await call("/invites", { ...choiceBody(choice), at: at.trim() === "" ? [] : [at.trim()] }));
              }}>Make a link</${Act}></div>
              <hr/><${Field} label="Or accept an invitation that you were sent"><input value=${link} placeholder="ark:1:…"
                onInput=${(event) => setLink(event.currentTarget.value)}/></${Field}>
              <div class="row end"><${Act} disabled=${link.trim() === ""} act=${async () => {
                const answer = await call("/invites/accept", { link: link.trim() });
                say(answer.summary ?? "The invitation is accepted.");
                onClose();
              }}>Accept</${Act}></div>
      `
      : html`
        <p>Send this to one person, by a way that nobody else reads. It counts once, until ${day(
          made.expires_at,
        )}, and is shown only now.</p>
        <${Copy} text=${made.link}/>
          <p>There: <code>ark-node peers accept LINK</code>, or “Invite” on its dashboard. Compare the four words afterwards.</p>
      `
  }
  </${Dialog}>`;
}
