import type { ErrorCode } from "@ark/node/protocol";
import { type AnsweredAt, answeredAt, type RouteStep } from "@ark/node/routing";
import type { Metrics } from "@ark/node/telemetry";

/** One request as it is counted. */
export interface CountedRequest {
  /** Counts a step. */
  step(step: RouteStep): void;
  /** Counts tokens that were written at a monotonic time, or now. */
  tokens(count: number, at?: number): void;
  /** Counts the end. Only the first one counts. */
  end(outcome: "ok" | ErrorCode, where: AnsweredAt | null): void;
}

const FIRST_TOKEN = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];
const INTER_TOKEN = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const GAP = [0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10];
const LOAD = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/**
 * Counts how requests are routed. No label is anything that a client or a peer chose: places, outcomes and codes are closed
 * sets, and a model's name is in none.
 */
export class RoutingMetrics {
  readonly #metrics: ReturnType<typeof declared>;

  /** Declares what it counts. */
  constructor(metrics: Metrics) {
    this.#metrics = declared(metrics);
  }

  /** Counts what this node's engine took to load a model for a request, in milliseconds; 0 where it was in memory. */
  loaded(ms: number): void {
    if (ms <= 0) return;
    this.#metrics.loads.add(1);
    this.#metrics.loadTimes.observe(ms / 1_000);
  }

  /** Begins to count a request. */
  begin(): CountedRequest {
    const { answers, failovers, continuations, moves, gaps, hedges, backupUses, firstTokens, interTokens } =
      this.#metrics;
    const began = performance.now();
    const hedged = new Set<string>();
    const backups = new Set<string>();
    let begun = false;
    let where: AnsweredAt | null = null;
    let lastToken: number | null = null;
    let between: ((seconds: number) => void) | null = null;
    let over = false;
    return {
      step(step) {
        switch (step.type) {
          case "asked":
            if (!step.hedge) return;
            (begun ? backups : hedged).add(step.key);
            return (begun ? backupUses : hedges).add(1, { result: "started" });
          case "began":
            begun = true;
            where = answeredAt(step.key);
            if (!hedged.delete(step.key)) return;
            return hedges.add(1, { result: "won" });
          case "failed":
            return failovers.add(1, { code: step.code, stage: step.tokens > 0 ? "streaming" : "before_first_token" });
          case "continued":
            where = answeredAt(step.key);
            between = null;
            (step.moved ? moves : continuations).add(1);
            if (backups.delete(step.key)) backupUses.add(1, { result: "won" });
            gaps.observe(step.gapMs / 1_000);
        }
      },
      tokens(count, now = performance.now()) {
        if (count <= 0) return;
        if (lastToken === null) firstTokens.observe((now - began) / 1_000, { where: where ?? "local" });
        else (between ??= interTokens.series({ where: where ?? "local" }))((now - lastToken) / 1_000 / count);
        lastToken = now;
      },
      end(outcome, at) {
        if (over) return;
        over = true;
        answers.add(1, { where: at ?? "nowhere", outcome });
        if (hedged.size > 0) hedges.add(hedged.size, { result: "wasted" });
        if (backups.size > 0) backupUses.add(backups.size, { result: "wasted" });
      },
    };
  }
}

function declared(metrics: Metrics) {
  const where = ["where"] as const;
  return {
    answers: metrics.counter("ark_answers_total", "Requests of the owner that ended, by where the answer came from.", [
      "where",
      "outcome",
    ]),
    failovers: metrics.counter("ark_failovers_total", "Candidates that failed while they were asked.", [
      "code",
      "stage",
    ]),
    continuations: metrics.counter("ark_continuations_total", "Answers that were gone on with at another node."),
    moves: metrics.counter("ark_moves_total", "Running answers that went to a faster node."),
    gaps: metrics.histogram("ark_continuation_gap_seconds", "How long a client got nothing while an answer moved.", {
      buckets: GAP,
    }),
    hedges: metrics.counter("ark_hedges_total", "Second nodes that were asked beside a first one that was late.", [
      "result",
    ]),
    backupUses: metrics.counter(
      "ark_backups_total",
      "Second nodes that read along while a running answer was silent.",
      [
        "result",
      ],
    ),
    firstTokens: metrics.histogram("ark_time_to_first_token_seconds", "Time from a request to its first token.", {
      labels: where,
      buckets: FIRST_TOKEN,
    }),
    interTokens: metrics.histogram("ark_inter_token_seconds", "Time between two tokens of an answer.", {
      labels: where,
      buckets: INTER_TOKEN,
    }),
    loads: metrics.counter("ark_model_loads_total", "Requests for which a model was loaded on this node."),
    loadTimes: metrics.histogram("ark_model_load_seconds", "Time that loading a model on this node took.", {
      buckets: LOAD,
    }),
  };
}
