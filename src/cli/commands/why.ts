import type { WhyCandidate, WhyModel } from "@ark/node/http";
import { type Command, EXIT, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";

/** Explains who would answer. */
export const WHY: Command = {
  name: "why",
  summary: "Say who would answer a request for a model now, and why",
  usage: "MODEL",
  flags: {},
  details:
    `The first line is the whole answer; the table has the numbers that it rests on, for a prompt and an answer of usual
length. Nobody is asked, and nothing is loaded. ark-node peers why PEER MODEL explains what one peer may do.`,
  async run(context) {
    const { out, words, json } = context;
    const [model, ...more] = words;
    if (model === undefined || more.length > 0) throw new UsageError("Name a model: ark-node why MODEL");
    const node = await NodeClient.find(context);
    const answer = await node.call<WhyModel>(`/api/v1/why?${new URLSearchParams({ model })}`);
    if (json) {
      out.json(answer);
      return EXIT.ok;
    }
    const { sentence, candidates, excluded } = answer;
    out.strong(sentence);
    if (candidates.length > 0) {
      out.line();
      out.table(
        ["WHO", "EXPECTED", "IN MEMORY", "RUNNING", "WAITING", "READS/S", "WRITES/S", "AWAY", "SUCCESS"],
        candidates.map(rowOf),
      );
    }
    if (excluded.length > 0) out.line();
    for (const one of excluded) out.line(`${one.sentence}.`);
    return EXIT.ok;
  },
};

function rowOf(candidate: WhyCandidate): string[] {
  const { where, name, estimate_ms, loaded, load_ms, in_flight, slots, queued, round_trip_ms, success_rate, breaker } =
    candidate;
  return [
    where === "local" ? "this node" : where === "upstream" ? `${name} (server)` : name,
    `${(estimate_ms / 1_000).toFixed(1)} s`,
    loaded ? "yes" : load_ms === null ? "no" : `in ${(load_ms / 1_000).toFixed(1)} s`,
    `${in_flight} of ${slots}`,
    String(queued),
    rate(candidate.prompt_rate),
    rate(candidate.generation_rate),
    where === "local" ? "-" : round_trip_ms === null ? "?" : `${round_trip_ms.toFixed(1)} ms`,
    breaker === "closed" ? `${Math.round(success_rate * 100)} %` : "failed lately",
  ];
}

function rate(tokens: number | null): string {
  return tokens === null ? "?" : tokens < 10 ? tokens.toFixed(1) : String(Math.round(tokens));
}
