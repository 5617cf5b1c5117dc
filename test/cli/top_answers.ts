/** What a node answers to `ark-node top`, with names as a hostile peer would choose them. */
import type { ScriptedAnswers } from "./scripted_node.ts";

/** Tries to paint, to move the cursor, to set the title, to turn the direction, to hide. */
export const HOSTILE = "\u001b[31mevil\u001b[2J\u001b]0;owned\u0007\u202egnp\u200b\u009b5n\r\n";

const ID = "qrxskp2m-6z7g76bv-vd67cq5e-b6hwl2uv-45ftvek6-rzff2an7-uj3a3alx";

/** The id of a peer by its number. */
export function peerId(number: number): string {
  return `aaaaaa${String.fromCharCode(97 + number)}${String.fromCharCode(97 + number)}${ID.slice(8)}`;
}

/** Answers of a node with a request that runs, one that ended, and peers with these names. */
export function topAnswers(names: readonly string[], model = "arkling:9m-q4_0"): ScriptedAnswers {
  const request = {
    seq: 1,
    id: "req_1",
    at: new Date(Date.now() - 5_000).toISOString(),
    from: "key",
    sender: "webui",
    model,
    outcome: null,
    where: "peer",
    answered_by: names[0] ?? null,
    candidates: [],
    candidate_count: 1,
    steps: [],
    asked: 1,
    failed: 0,
    hedged: 0,
    continued: 0,
    prompt_tokens: 7,
    tokens: 41,
    first_token_ms: 1_000,
    total_ms: null,
  };
  return {
    "/status": {
      node_id: ID,
      name: "Desk",
      version: "1.2.3",
      roles: ["compute", "gateway"],
      uptime_s: 100,
      api: "http://127.0.0.1:1",
      models: {
        here: 1,
        within_reach: 2,
        loaded: [{ id: model, gpu: null, running: 1, slots: 4, bytes: 5_000_000 }],
        loading: [{ id: "big:70b", fraction: 0.4 }],
        queued: 2,
      },
      peers: { pending: 1 },
      faults: ["The disk is almost full"],
    },
    "/peers/status": {
      peers: names.map((name, number) => ({
        node_id: peerId(number),
        name,
        state: "ready",
        reason: null,
        round_trip_ms: 1.5,
        in_flight: 1,
        queued: 0,
        models: [model],
      })),
    },
    "/api/v1/requests": {
      requests: [request, { ...request, seq: 2, from: "owner", sender: null, outcome: "ok", total_ms: 2_000 }],
    },
    "/api/v1/history": { samples: [{ at: Date.now(), requests: 3, failed: 1, tokens: 90, first_token_ms: 120 }] },
    "/grid": { nodes: [{ kind: "own", hardware: { memory: { free: 8e9, total: 16e9 }, gpu: null } }] },
    "/peers/pause": { peer: {}, recorded: true },
    "/sharing/pause": {},
    "/sharing/resume": {},
    "/peers/revoke": { revoked: {}, recorded: true },
  };
}
