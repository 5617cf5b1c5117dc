import { byteCount } from "../byte_count.ts";
import type { Look } from "../paint.ts";
import { stateLook } from "../state_look.ts";
import { type Line, lineOf, tableLines } from "./frame.ts";
import type { TopPeer, TopRequest, TopSnapshot } from "./snapshot.ts";

/** What the person at the keyboard has in mind. */
export interface TopView {
  /** Size of the screen; without `rows` everything is shown. */
  columns: number;
  rows: number | null;
  /** Id of the chosen peer, or null. */
  chosen: string | null;
  /** Only what has this in it is shown. */
  filter: string;
  /** What the last line says. */
  footer: string;
  /** Whether the last line asks something. */
  asks: boolean;
}

/** Keys, as the help lists them. */
export const TOP_KEYS: readonly (readonly [key: string, what: string])[] = [
  ["up, down", "choose a neighbour (page up, page down, home, end)"],
  ["p", "pause the chosen neighbour, or let it ask again"],
  ["s", "pause sharing with all neighbours for an hour, or share again"],
  ["r", "revoke the chosen neighbour: it may do nothing here any more"],
  ["/", "show only what has a text in it; empty shows everything"],
  ["?", "this help"],
  ["q", "leave (Ctrl-C, too)"],
];

/** Peers that the filter lets through, in their order. */
export function shownPeers({ peers }: Pick<TopSnapshot, "peers">, filter: string): TopPeer[] {
  return peers.filter(({ name, node_id, state, models }) => fits(filter, [name, node_id, state, ...models]));
}

/** The whole screen. */
export function topLines(snapshot: TopSnapshot, view: TopView): Line[] {
  const { columns, rows, filter } = view;
  const running = snapshot.running.filter(({ who, model, where }) => fits(filter, [who, model, where ?? ""]));
  const peers = shownPeers(snapshot, filter);
  const events = snapshot.events.filter(({ text }) => fits(filter, [text]));
  const whole = headLines(snapshot);
  // A low screen goes without empty lines and events, and a very low one without most of the head.
  const low = rows !== null && rows < whole.length + 15;
  const head = low ? whole.slice(0, Math.max(2, rows - 10)) : whole;
  const gap = low ? [] : [lineOf("")];
  // Titles, names of columns, empty lines between, and the last line.
  const room = rows === null ? Infinity : Math.max(0, rows - head.length - (low ? 5 : 9));
  const forRunning = Math.min(running.length, Math.max(1, Math.floor(room * 0.35)));
  const forPeers = Math.min(peers.length, Math.max(1, Math.floor((room - forRunning) * (low ? 1 : 0.6))));
  const forEvents = Math.min(events.length, rows === null ? 20 : Math.max(0, room - forRunning - forPeers));
  const lines = [
    ...head,
    ...gap,
    lineOf(titleOf("RUNNING", { shown: forRunning, all: running.length }), "heading"),
    ...runningLines(running.slice(0, forRunning), columns),
    ...gap,
    lineOf(titleOf("NEIGHBOURS", { shown: forPeers, all: peers.length }), "heading"),
    ...peerLines(windowOf(peers, { chosen: view.chosen, count: forPeers }), { columns, chosen: view.chosen }),
    ...gap,
    ...low ? [] : eventLines(events.slice(0, forEvents)),
  ];
  if (rows === null) return lines;
  const shown = lines.slice(0, rows - 1);
  while (shown.length < rows - 1) shown.push([]);
  const filtered = filter === "" ? "" : `only "${filter}"   `;
  return [...shown, lineOf(filtered + view.footer, view.asks ? "warning" : "faint")];
}

function eventLines(events: TopSnapshot["events"]): Line[] {
  return [
    lineOf("LAST EVENTS", "heading"),
    ...events.map(({ at, text, bad }): Line => [
      { text: at.slice(11, 19), look: "faint", column: 2 },
      { text: bad ? `! ${text}` : text, look: bad ? "warning" : "plain", column: 12 },
    ]),
    ...events.length === 0 ? [lineOf("  Nothing has happened yet.", "faint")] : [],
  ];
}

/** The page of keys. */
export function helpLines(): Line[] {
  return [
    lineOf("ark-node top: keys", "strong"),
    lineOf(""),
    ...TOP_KEYS.map(([key, what]): Line => [
      { text: key, look: "strong", column: 2 },
      { text: what, look: "plain", column: 14 },
    ]),
    lineOf(""),
    lineOf("Any key goes back.", "faint"),
  ];
}

function headLines({ at, node, speed }: TopSnapshot): Line[] {
  const { slots, models, memory, faults, pending } = node;
  const { minute } = speed;
  const held = models.loaded.map(({ id, gpu, running, slots }) => `${id} (${gpu ?? "CPU"}, ${running} of ${slots})`);
  const labelled = (label: string, text: string, look: Look = "plain"): Line => [
    { text: label, look: "faint", column: 0 },
    { text, look, column: 9 },
  ];
  const waiting = slots.queued === 0 ? "" : `, ${slots.queued} waiting`;
  const busy = slots.total === 0
    ? `no model in memory${waiting}`
    : `${slots.running} of ${slots.total} slots busy${waiting}`;
  const state = faults.length === 0 ? "ready" : faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  return [
    [
      { text: node.name, look: "strong", column: 0 },
      { text: `${at.slice(11, 19)} UTC`, look: "faint", column: 42 },
    ],
    labelled("state", `${state}; ${busy}; up ${upTime(node.uptime_s)}; ${node.roles.join(", ")}`),
    labelled("memory", memory === null ? "not known" : `${byteCount(memory.free)} of ${byteCount(memory.total)} free`),
    labelled(
      "models",
      `${models.here} here, ${models.within_reach} within reach${held.length === 0 ? "" : `; ${held.join(", ")}`}`,
    ),
    ...models.loading.slice(0, 2).map(({ id, fraction }) =>
      labelled("loading", `${id}: ${Math.floor(fraction * 100)} %`)
    ),
    labelled(
      "speed",
      `${speed.tokens_per_second} tokens/s now; last minute ${counted(minute.requests, "request")}` +
        `${minute.failed === 0 ? "" : `, ${minute.failed} failed`}, ${counted(minute.tokens, "token")}` +
        `${minute.first_token_ms === null ? "" : `, first after ${span(minute.first_token_ms)}`}`,
    ),
    ...node.sharing === null
      ? []
      : [labelled("sharing", node.sharing.sentence, node.sharing.shares ? "plain" : "warning")],
    ...pending === 0
      ? []
      : [labelled("waiting", `${counted(pending, "node")} for your approval: ark-node peers pending`, "warning")],
    ...faults.slice(0, 2).map((fault) => labelled("fault", fault, "bad")),
  ];
}

function runningLines(running: readonly TopRequest[], columns: number): Line[] {
  if (running.length === 0) return [lineOf("  Nothing runs now.", "faint")];
  return tableLines(
    ["WHO", "MODEL", "ANSWERED BY", "TOKENS", "TOKENS/S", "SINCE"],
    running.map(({ who, model, where, prompt_tokens, tokens, tokens_per_second, ms }) => ({
      cells: [
        who,
        model,
        where ?? "waits",
        `${prompt_tokens ?? "?"}+${tokens}`,
        tokens_per_second === null ? "-" : String(tokens_per_second),
        span(ms),
      ],
    })),
    { columns, keep: [3, 4, 5] },
  );
}

function peerLines(
  peers: readonly TopPeer[],
  { columns, chosen }: { columns: number; chosen: string | null },
): Line[] {
  if (peers.length === 0) return [lineOf("  None: 'ark-node peers discovered' shows who is near.", "faint")];
  return tableLines(
    ["NAME", "ID", "STATE", "AWAY", "ASKED", "WAIT", "MODELS"],
    peers.map(({ name, node_id, state, round_trip_ms, in_flight, queued, models }) => ({
      cells: [
        name,
        node_id.slice(0, 8),
        state.replace("_", " "),
        round_trip_ms === null ? "-" : `${round_trip_ms.toFixed(1)} ms`,
        String(in_flight),
        String(queued),
        models.join(", ") || "-",
      ],
      looks: ["plain", "faint", stateLook(state)] as const,
      chosen: node_id === chosen,
    })),
    { columns, keep: [1, 2, 3, 4, 5] },
  );
}

/** So many of them that the chosen one is seen. */
function windowOf(peers: readonly TopPeer[], { chosen, count }: { chosen: string | null; count: number }): TopPeer[] {
  const at = Math.max(0, peers.findIndex(({ node_id }) => node_id === chosen));
  const first = Math.max(0, Math.min(at - Math.floor(count / 2), peers.length - count));
  return peers.slice(first, first + count);
}

function titleOf(title: string, { shown, all }: { shown: number; all: number }): string {
  return shown < all ? `${title}  ${shown} of ${all}` : all === 0 ? title : `${title}  ${all}`;
}

function fits(filter: string, texts: readonly string[]): boolean {
  const wanted = filter.toLowerCase();
  return wanted === "" || texts.some((text) => text.toLowerCase().includes(wanted));
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : `${(ms / 60_000).toFixed(1)} min`;
}

function upTime(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} days`;
}
