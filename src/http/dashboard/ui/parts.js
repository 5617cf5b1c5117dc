// deno-lint-ignore-file no-boolean-literal-for-arguments -- that is how setters of hooks are called
/** Pieces that all pages are made of. */
import { h } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import htm from "htm";

export const html = htm.bind(h);

/** @param {{ title?: unknown, actions?: unknown, class?: string, children?: unknown }} props */
export function Card({ title, actions, children, class: name = "" }) {
  return html`<section class=${`card ${name}`}>
    ${
    title === undefined ? null : html`
      <header>
        <h2>${title}</h2>
        <div class="actions">${actions}</div>
      </header>
    `
  }
    ${children}
  </section>`;
}

/** @param {{ kind?: string, children?: unknown }} props `kind`: good, warn, bad, quiet */
export function Badge({ kind = "quiet", children }) {
  return html`<span class=${`badge ${kind}`}>${children}</span>`;
}

/** What stands where there is nothing yet. */
export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

/** One number with its name. */
export function Figure({ value, label, note }) {
  return html`<div class="figure"><strong>${value}</strong><span>${label}</span>${
    note ? html`<small>${note}</small>` : null
  }</div>`;
}

/**
 * A button that does something with the node: it cannot be pressed again meanwhile, and what fails is shown.
 *
 * @param {{ act: () => unknown, kind?: string, children?: unknown, disabled?: boolean, label?: string }} props
 */
export function Act({ act, kind = "", children, disabled = false, label }) {
  const [busy, setBusy] = useState(false);
  const here = useRef(true);
  useEffect(() => () => void (here.current = false), []);
  return html`
    <button type="button" class=${`act ${kind}`} disabled=${disabled || busy} aria-label=${label}
      aria-busy=${busy} onClick=${async () => {
        setBusy(true);
        try {
          await act();
        } catch (error) {
          say(error.message, "bad");
        }
        if (here.current) setBusy(false);
      }}>${children}</button>
  `;
}

/** A switch with its name. */
export function Switch({ checked, onChange, children, disabled = false }) {
  return html`<label class="switch"><input type="checkbox" role="switch" checked=${checked} disabled=${disabled}
    onChange=${(event) => onChange(event.currentTarget.checked)}/><span>${children}</span></label>`;
}

/** A field with its name above. */
export function Field({ label, hint, children }) {
  return html`<label class="field"><span>${label}</span>${children}${
    hint ? html`<small>${hint}</small>` : null
  }</label>`;
}

/** A window over the page; Escape and the button close it. */
export function Dialog({ title, onClose, children, wide = false }) {
  const element = useRef(null);
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return html`
    <dialog ref=${element} class=${wide ? "wide" : ""} aria-labelledby="dialog-title"
      onCancel=${(event) => {
        event.preventDefault();
        onClose();
      }}>
      <header><h2 id="dialog-title">${title}</h2>
          <button type="button" class="close" aria-label="Close" onClick=${onClose}>×</button></header>
      <div class="content">${children}</div>
    </dialog>
  `;
}

/** Asks before something that cannot be taken back. */
export function Confirm({ title, sentence, verb, onYes, onClose }) {
  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      <p>${sentence}</p>
      <div class="row end"><button type="button" onClick=${onClose}>Keep it as it is</button>
          <${Act} kind="danger" act=${async () => {
            await onYes();
            onClose();
          }}>${verb}</${Act}></div>
      </${Dialog}>
  `;
}

/** A text that one press copies. */
export function Copy({ text }) {
  const [done, setDone] = useState(false);
  return html`<span class="copy"><code>${text}</code><button type="button" onClick=${async () => {
    await navigator.clipboard.writeText(text).then(
      () => setDone(true),
      () => say("The browser does not let this page copy.", "bad"),
    );
    setTimeout(() => setDone(false), 2_000);
  }}>${done ? "Copied" : "Copy"}</button></span>`;
}

/** What stands in the place of data that is not there. */
export function Waiting({ error }) {
  if (error !== undefined) return html`<p class="fault" role="alert">${error.message}</p>`;
  return html`<p class="empty" aria-busy="true">One moment …</p>`;
}

/** @type {Set<(notes: unknown[]) => void>} */
const readers = new Set();
let notes = [];
let counter = 0;

/** Says something for some seconds. @param {string} text @param {"good" | "bad"} [kind] */
export function say(text, kind = "good") {
  const note = { key: ++counter, text, kind };
  notes = [...notes.slice(-3), note];
  for (const read of readers) read(notes);
  setTimeout(() => {
    notes = notes.filter((one) => one !== note);
    for (const read of readers) read(notes);
  }, kind === "bad" ? 9_000 : 4_000);
}

/** Where {@linkcode say} is read. */
export function Notes() {
  const [shown, show] = useState(notes);
  useEffect(() => {
    readers.add(show);
    return () => readers.delete(show);
  }, []);
  return html`<div class="notes" role="status" aria-live="polite">
    ${shown.map(({ key, text, kind }) => html`<p key=${key} class=${kind}>${text}</p>`)}
  </div>`;
}
