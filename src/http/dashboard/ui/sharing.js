/** Whether neighbours may use this node now, and the owner's pause. */
import { call } from "./api.js";
import { Act, Badge, Card, html } from "./parts.js";

const MORNING = 7;

/** Seven o'clock tomorrow, where the owner is. */
function tomorrow() {
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, MORNING).toISOString();
}

const USES = { gpu: "use of the GPU", game: "games", cpu: "use of the processors", input: "keyboard and mouse" };

/** @param {{ sharing: any, reload: () => void }} props `sharing` as `GET /sharing` answers it */
export function Sharing({ sharing, reload }) {
  const act = (path, body) => async () => {
    await call(path, body);
    reload();
  };
  const paused = sharing.state === "paused";
  const blind = sharing.watches.filter(({ cannot_tell }) => cannot_tell !== null);
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
      <p class="hint">${sharing.watches.length === 0
        ? "This node does not look whether you use the machine (--yield)."
        : `It yields to you by ${sharing.watches.map(({ what }) => USES[what] ?? what).join(", ")}${
          blind.length === 0
            ? "."
            : `; what cannot be seen now: ${blind.map(({ what }) => USES[what] ?? what).join(", ")}.`
        }`} Your own questions always go on.</p>
      </${Card}>
  `;
}
