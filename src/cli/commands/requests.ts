import type { RequestsEvent } from "@ark/node/http";
import type { LedgerEntry, LedgerStep } from "@ark/node/routing";
import { type Command, CommandError, EXIT, textFlag, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";
import { sseData } from "../sse_data.ts";

const NAMES = ["TIME", "FROM", "MODEL", "ANSWERED BY", "TRIED", "TOKENS", "FIRST", "TOTAL", "OUTCOME"];

/** Widths of columns while requests are followed, when nobody knows what comes. */
const WIDTHS = [8, 10, 24, 16, 20, 9, 8, 8];

/** Shows the last requests and their journeys. */
export const REQUESTS: Command = {
  name: "requests",
  summary: "Show the last requests, who was asked for each, and how it went",
  usage: "[ID]",
  flags: {
    count: { value: "N", short: "n", help: "how many (default: 20)" },
    follow: { short: "f", help: "go on with each request that ends, until Ctrl-C" },
  },
  details:
    `With the id of a request (x-request-id of its answer) it shows every step of its journey. The list is kept in memory,
is gone with the node, and holds no text of a prompt or an answer.`,
  async run(context) {
    const { out, flags, words, json } = context;
    const [id, ...more] = words;
    const count = Number(textFlag(flags, "count") ?? (id === undefined ? "20" : "1000"));
    if (!Number.isInteger(count) || count < 1) throw new UsageError("Flag --count is a whole number from 1");
    if (more.length > 0 || (id !== undefined && flags.follow === true)) {
      throw new UsageError("Name one request, or none: ark-node requests [ID], or ark-node requests --follow");
    }
    const node = await NodeClient.find(context);
    if (flags.follow === true) return await follow(node, { count, context });
    const { requests } = await node.call<{ requests: LedgerEntry[] }>(`/api/v1/requests?count=${count}`);
    if (id !== undefined) {
      const found = requests.filter((entry) => entry.id === id);
      if (found.length === 0) {
        throw new CommandError(
          `There is no request ${id} among the last ${requests.length}: the list is kept in memory`,
        );
      }
      if (json) out.json({ requests: found });
      else for (const entry of found) for (const line of journeyOf(entry)) out.line(line);
      return EXIT.ok;
    }
    if (json) out.json({ requests });
    else if (requests.length === 0) out.line("Nobody has asked anything since the node started.");
    else {
      const outcome = NAMES.length - 1;
      out.table(NAMES, requests.map(rowOf), {
        keep: [0, 2, outcome],
        look: (cell, column) =>
          column !== outcome ? "plain" : cell === "ok" ? "good" : cell === "runs" ? "plain" : "bad",
      });
    }
    return EXIT.ok;
  },
};

async function follow(
  node: NodeClient,
  { count, context: { out, json } }: { count: number; context: Parameters<Command["run"]>[0] },
): Promise<number> {
  const { body } = await node.open(`/api/v1/requests?count=${count}&follow=1`);
  const shown = new Set<number>();
  const show = (entry: LedgerEntry) => {
    // A request that runs is shown when it has ended, and once: a stream that begins anew tells of some again.
    if (entry.outcome === null || shown.has(entry.seq)) return;
    shown.add(entry.seq);
    if (shown.size > 10_000) shown.delete(Math.min(...shown));
    out.line(json ? JSON.stringify(entry) : spread(rowOf(entry)));
  };
  if (!json) out.line(spread(NAMES));
  for await (const event of sseData<RequestsEvent>(body ?? new ReadableStream())) {
    if ("requests" in event) event.requests.forEach(show);
    else show(event.request);
  }
  return EXIT.ok;
}

function rowOf(entry: LedgerEntry): string[] {
  const { at, from, sender, model, answered_by, where, prompt_tokens, tokens, first_token_ms, total_ms, outcome } =
    entry;
  return [
    at.slice(11, 19),
    from === "owner" ? "you" : from === "peer" ? `peer ${sender?.slice(0, 8)}` : `key ${sender}`,
    model,
    answered_by === null ? "-" : where === "local" ? "this node" : answered_by,
    triedOf(entry),
    tokens === 0 && prompt_tokens === null ? "-" : `${prompt_tokens ?? "?"}+${tokens}`,
    first_token_ms === null ? "-" : duration(first_token_ms),
    total_ms === null ? "-" : duration(total_ms),
    outcome ?? "runs",
  ];
}

/** What was more than asking the first one. */
function triedOf({ candidate_count, failed, hedged, continued }: LedgerEntry): string {
  const parts = [
    ...candidate_count === 0 ? [] : [`of ${candidate_count}`],
    ...failed === 0 ? [] : [`${failed} failed`],
    ...hedged === 0 ? [] : [`${hedged} hedged`],
    ...continued === 0 ? [] : [`${continued} continued`],
  ];
  return parts.join(", ") || "-";
}

/** Everything about one request, as lines. */
function journeyOf(entry: LedgerEntry): string[] {
  const { id, at, candidates, candidate_count, steps, outcome, tokens, total_ms } = entry;
  const [, from, model] = rowOf(entry);
  const more = candidate_count - candidates.length;
  const end = outcome === null
    ? "It still runs."
    : `${duration(total_ms ?? 0).padStart(9)}  ended: ${outcome}, ${tokens} tokens`;
  return [
    `${id}: ${from} asked ${model} at ${at.slice(0, 19).replace("T", " ")} UTC`,
    ...candidates.map(({ name, estimate_ms, loaded, in_flight, queued }, index) =>
      `  candidate ${index + 1}: ${name}, ${
        estimate_ms === null ? "no estimate" : `expected ${duration(estimate_ms)}`
      }, ${loaded ? "in memory" : "not in memory"}, ${in_flight} running, ${queued} waiting`
    ),
    ...more > 0 ? [`  and ${more} more`] : [],
    ...steps.map((step, index) => {
      const streaming = steps.slice(0, index).some(({ type }) => type === "began");
      return `${duration(step.ms).padStart(9)}  ${stepOf(step, { streaming })}`;
    }),
    end,
  ];
}

function stepOf(
  { type, name, hedge, code, tokens, gap_ms, moved }: LedgerStep,
  { streaming }: { streaming: boolean },
): string {
  switch (type) {
    case "asked":
      if (!hedge) return `${name} was asked`;
      return `${name} was asked, too: ${streaming ? "the answer had fallen silent" : "the first token was late"}`;
    case "woken":
      return `${name} was woken, since only it has the model`;
    case "began":
      return `${name} began to answer`;
    case "failed":
      return `${name} failed: ${code}${tokens ? `, after ${tokens} tokens` : ""}`;
    case "continued":
      return `${name} went on after ${tokens} tokens${moved ? ", since it is faster" : ""}; nothing came for ${
        duration(gap_ms ?? 0)
      }`;
  }
}

function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : `${(ms / 60_000).toFixed(1)} min`;
}

/** A row whose columns stand where those of the rows before stood. */
function spread(cells: readonly string[]): string {
  return cells.map((cell, column) => cell.padEnd(WIDTHS[column] ?? 0)).join("  ").trimEnd();
}
