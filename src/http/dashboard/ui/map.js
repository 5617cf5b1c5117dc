/** The nodes within reach as a picture: this one in the middle, the others around it, as many as there are. */
import { useState } from "preact/hooks";
import { Empty, html } from "./parts.js";
import { counted, percent, size } from "./format.js";

/** Wide for many, and for a few as wide as a phone shows with words that can be read. */
const WIDTH = { few: 480, many: 720 };
const HEIGHT = { pair: 150, more: 380 };
/** Golden angle: neighbours of one ring never line up. */
const TURN = Math.PI * (3 - Math.sqrt(5));

/** How many are a few. */
const FEW = 12;

/** @param {number} count */
function widthOf(count) {
  return count <= FEW ? WIDTH.few : WIDTH.many;
}

/** @param {number} count */
function heightOf(count) {
  return count <= 2 ? HEIGHT.pair : HEIGHT.more;
}

/** Where the n-th of so many nodes stands; two are left and right of this one, where no line meets their names. @param {number} index @param {number} count */
function place(index, count) {
  const [width, height] = [widthOf(count), heightOf(count)];
  if (count <= FEW) {
    const angle = (index / Math.max(1, count)) * 2 * Math.PI - Math.PI;
    return { x: width / 2 + Math.cos(angle) * 185, y: height / 2 + Math.sin(angle) * 140 };
  }
  const part = Math.sqrt((index + 3) / (count + 3));
  return {
    x: width / 2 + Math.cos(index * TURN) * part * 330,
    y: height / 2 + Math.sin(index * TURN) * part * 172,
  };
}

export function NodeMap({ grid }) {
  const [chosen, choose] = useState(null);
  if (grid === undefined) return html`<${Empty}>One moment …</${Empty}>`;
  const [own, ...others] = grid.nodes;
  const small = others.length > 40;
  const radius = small ? (others.length > 300 ? 3.5 : 7) : 20;
  const shown = grid.nodes.find(({ name, node_id }) => (node_id ?? name) === chosen) ?? own;
  const key = (node) => node.node_id ?? node.name;
  const dot = (node, { x, y }, r) =>
    html`
      <g key=${key(node)} class=${`node ${node.kind} ${node.state} ${key(node) === key(shown) ? "chosen" : ""}`}
        role="button" tabindex=${small ? undefined : "0"} aria-label=${`${node.name}, ${node.state}, ${
          counted(node.models.length, "model")
        }`} onClick=${() => choose(key(node))}
        onKeyDown=${(event) =>
          (event.key === "Enter" || event.key === " ") && (event.preventDefault(), choose(key(node)))}>
        <circle cx=${x} cy=${y} r=${r}/>
          ${node.running > 0 ? html`<circle class="traffic" cx=${x} cy=${y} r=${r + 5}/>` : null}
        </g>
    `;
  // Beside the buttons and not in them: their names say the same in words.
  const words = (node, { x, y }, r) =>
    html`
      <g key=${`${key(node)} words`} class=${`words-of ${node.kind}`} aria-hidden="true">
        <text x=${x} y=${y + r + 16}>${node.name}</text>
        <text class="count" x=${x} y=${y + 5}>${node.models.length}</text>
      </g>
    `;
  const [width, height] = [widthOf(others.length), heightOf(others.length)];
  const middle = { x: width / 2, y: height / 2 };
  return html`
    <div class="map">
      <svg class=${others.length <= FEW
        ? "few"
        : ""} viewBox=${`0 0 ${width} ${height}`} role="group" aria-label=${`Map of ${
        counted(grid.nodes.length, "node")
      }`}>
          ${others.map((node, i) => {
            const at = place(i, others.length);
            return html`<line key=${key(node)} class=${`${node.state} ${
              node.running > 0 ? "flows" : ""
            }`} x1=${middle.x} y1=${middle.y} x2=${at.x} y2=${at.y}/>`;
          })}
          ${others.map((node, i) => dot(node, place(i, others.length), radius))}
          ${dot(own, middle, 28)} ${words(own, middle, 28)} ${small
            ? null
            : others.map((node, i) => words(node, place(i, others.length), radius))}
        </svg>
      <div class="about" aria-live="polite">
          <strong>${shown.name}</strong> ${shown.kind === "own" ? "(this node)" : shown.state}
          <small>${counted(shown.models.length, "model")}${shown.models.length > 0
            ? `: ${shown.models.slice(0, 5).join(", ")}${shown.models.length > 5 ? " …" : ""}`
            : ""}</small>
          <small>${shown.hardware === null ? "does not show its hardware" : hardwareOf(shown.hardware)}</small>
          <small>${shown.running > 0
            ? `${counted(shown.running, "request")} now`
            : "nothing runs"}${shown.loss.models.length > 0
            ? ` · without it ${counted(shown.loss.models.length, "model")} would be lost`
            : ""}${shown.loss.capacity_share ? ` · ${percent(shown.loss.capacity_share)} of the capacity` : ""}</small>
        </div>
    </div>
  `;
}

/** @param {{ gpu?: { name?: string, memory?: number }[] | null, memory?: { total: number, free?: number } | null }} hardware */
export function hardwareOf({ gpu, memory }) {
  const cards = (gpu ?? []).map((one) => [one.name, one.memory ? size(one.memory) : null].filter(Boolean).join(" "));
  return [...cards, memory ? `${size(memory.total)} of memory` : null].filter(Boolean).join(" · ") || "no GPU";
}
