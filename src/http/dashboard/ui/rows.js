/** A list of any length, of which only what is seen is in the page. */
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "./parts.js";

const HEIGHT = 28;
const PAGE = 100;
/** Rows that the node could not give are asked for again then, in milliseconds. */
const AGAIN_MS = 1_000;
/** Browsers cannot make an element much taller. */
const TALLEST = 8_000_000;

/**
 * The newest row is the first. `load(from, count)` gives the rows with the numbers `from - count + 1` to `from`.
 *
 * @param {{ total: number, head: string[], load: (from: number, count: number) => Promise<any[]>, row: (one: any) => unknown[] }} props
 */
export function Rows({ total, head, load, row }) {
  const box = useRef(null);
  const [top, setTop] = useState(0);
  const [, redraw] = useState(0);
  const [tries, retry] = useState(0);
  const pages = useRef(new Map());
  const asked = useRef(new Set());
  const height = Math.min(TALLEST, total * HEIGHT);
  const visible = 16;
  const first = Math.floor((top / Math.max(1, height - visible * HEIGHT)) * Math.max(0, total - visible));
  const from = total - Math.max(0, Math.min(first, Math.max(0, total - visible)));
  const numbers = Array.from({ length: Math.min(visible + 2, from) }, (_, i) => from - i);
  useEffect(() => {
    for (const page of new Set(numbers.map((seq) => Math.ceil(seq / PAGE)))) {
      const end = Math.min(total, page * PAGE);
      const key = `${page}:${end}`;
      if (asked.current.has(key)) continue;
      asked.current.add(key);
      const again = () => setTimeout(() => asked.current.delete(key) && retry((count) => count + 1), AGAIN_MS);
      load(end, end - (page - 1) * PAGE).then((rows) => {
        for (const one of rows) pages.current.set(one.seq, one);
        if (!pages.current.has(end)) again();
        // What is far away is read again when it is seen again.
        if (pages.current.size > 5_000) {
          pages.current = new Map(rows.map((one) => [one.seq, one]));
          asked.current = new Set([key]);
        }
        redraw((count) => count + 1);
      }, again);
    }
  }, [from, total, tries]);
  return html`
    <div class="rows" ref=${box} tabindex="0" role="region" style=${{
      height: `${Math.min(visible, total) * HEIGHT + 2}px`,
    }} aria-label="Entries"
      onScroll=${(event) => setTop(event.currentTarget.scrollTop)}>
      <div class="rows-height" style=${{ height: `${height}px` }}>
        <table style=${{ transform: `translateY(${Math.min(top, Math.max(0, height - numbers.length * HEIGHT))}px)` }}>
          <colgroup>
            <col class="number" />
            <col class="when" />
            ${head.slice(2).map((name) => html`<col key=${name} />`)}
          </colgroup>
          <thead class="hidden">
            <tr>${head.map((name) => html`<th key=${name}>${name}</th>`)}</tr>
          </thead>
          <tbody>${numbers.map((seq) => {
            const one = pages.current.get(seq);
            const cells = one === undefined ? [seq, ...head.slice(1).map(() => "")] : row(one);
            return html`<tr key=${seq}>${cells.map((cell, i) => html`<td key=${i} title=${cell}>${cell}</td>`)}</tr>`;
          })}</tbody>
        </table>
      </div>
    </div>
  `;
}
