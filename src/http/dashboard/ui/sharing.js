/** Whether neighbours may use this node now, and the owner's pause. */
import { call } from "./api.js";
import { Act, Badge, Card, html } from "./parts.js";

const MORNING = 7;

/** Seven o'clock tomorrow, where the owner is. */
function tomorrow() {
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, MORNING).toISOString();
}

const USES = { gpu: "the GPU", game: "a game", cpu: "the processors", input: "keyboard and mouse" };

/** What the node looks for, in a sentence or two. @param {{ what: string, cannot_tell: string | null }[]} watches */
function looksFor(watches) {
  const named = (some) => some.map(({ what }) => USES[what] ?? what).join(", ");
  const [seen, unseen] = [
    watches.filter(({ cannot_tell }) => cannot_tell === null),
    watches.filter(({ cannot_tell }) => cannot_tell !== null),
  ];
  if (watches.length === 0) return "It does not look whether you use the machine yourself (--yield off).";
  if (seen.length === 0) return "It cannot see here when you use the machine yourself: pause it when you need it.";
  const rest = unseen.length === 0 ? "" : ` It cannot see here: ${named(unseen)}.`;
  return `Neighbours wait by themselves while you use: ${named(seen)}.${rest}`;
}

/** @param {{ sharing: any, reload: () => void }} props `sharing` as `GET /sharing` answers it */
export function Sharing({ sharing, reload }) {
  const act = (path, body) => async () => {
    await call(path, body);
    reload();
  };
  const paused = sharing.state === "paused";
  return html`
    <${Card} title="Sharing" actions=${html`<${Badge} kind=${sharing.shares ? "good" : "warn"}>${
      sharing.shares ? "on" : paused ? "paused" : "waits"
    }</${Badge}>`}>
      <p aria-live="polite">${sharing.sentence}.</p>
      <div class="row" role="group" aria-label="Pause sharing">
        ${paused ? html`<${Act} kind="primary" act=${act("/sharing/resume", {})}>Resume sharing</${Act}>` : html`
          <${Act} act=${act("/sharing/pause", { for_s: 3_600 })}>Pause for 1 hour</${Act}>
          <${Act} act=${() =>
            act("/sharing/pause", { until: tomorrow() })()}>Pause until tomorrow, ${MORNING}:00</${Act}>
          <${Act} act=${act("/sharing/pause", {})}>Pause until I resume</${Act}>
        `}
      </div>
      <p class="empty">${looksFor(sharing.watches)} Your own questions always go on.</p>
      </${Card}>
  `;
}
