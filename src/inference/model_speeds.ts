import type { EngineResult } from "./worker/engine.ts";

/** Models whose speeds are remembered. */
const MOST_MODELS = 256;
/** How much the newest answer counts. */
const WEIGHT = 1 / 4;
/** Fewer tokens of a prompt that were read say more about everything around them. */
const LEAST_PROMPT = 16;
/** Fewer written tokens say little. */
const LEAST_WRITTEN = 4;

/** How fast a model is on this node, as it was measured; null what was not measured yet. */
export interface ModelSpeed {
  /** How long it took to bring it into memory, in milliseconds. */
  loadMs: number | null;
  /** Tokens of a prompt that it reads in a second. */
  promptRate: number | null;
  /** Tokens of one answer that it writes in a second, whatever else it wrote meanwhile. */
  generationRate: number | null;
}

/** Milliseconds, as moving averages. */
interface Measured {
  loadMs: number | null;
  promptMs: number | null;
  tokenMs: number | null;
}

/** How fast models are, by what their answers took: moving averages of milliseconds, of the last few answers. */
export class ModelSpeeds {
  readonly #measured = new Map<string, Measured>();

  /** A model came into memory. */
  loaded(model: string, ms: number): void {
    const measured = this.#of(model);
    measured.loadMs = averaged(measured.loadMs, ms);
  }

  /**
   * A model finished an answer. What an answer took that was gone on with says nothing of prompts: how much of what was
   * written before had to be read again is not told.
   */
  finished(model: string, result: EngineResult, { resumed }: { resumed: boolean }): void {
    const { usage, prompt_ms, generation_ms } = result;
    const read = usage.prompt_tokens - usage.cached_tokens;
    // The first token is part of the prompt's time.
    const written = usage.completion_tokens - 1;
    const measured = this.#of(model);
    if (!resumed && usage.completion_tokens > 0 && read >= LEAST_PROMPT && prompt_ms > 0) {
      measured.promptMs = averaged(measured.promptMs, prompt_ms / read);
    }
    if (written >= LEAST_WRITTEN && generation_ms > 0) {
      measured.tokenMs = averaged(measured.tokenMs, generation_ms / written);
    }
  }

  /** All that is known, by model. */
  list(): ReadonlyMap<string, ModelSpeed> {
    return new Map(
      this.#measured.entries().map(([model, { loadMs, promptMs, tokenMs }]) => [
        model,
        { loadMs, promptRate: rate(promptMs), generationRate: rate(tokenMs) },
      ]),
    );
  }

  #of(model: string): Measured {
    const measured = this.#measured.get(model) ?? { loadMs: null, promptMs: null, tokenMs: null };
    this.#measured.delete(model);
    this.#measured.set(model, measured);
    const [oldest] = this.#measured.keys();
    if (this.#measured.size > MOST_MODELS && oldest !== undefined) this.#measured.delete(oldest);
    return measured;
  }
}

function averaged(before: number | null, ms: number): number {
  return before === null ? ms : before + (ms - before) * WEIGHT;
}

/** Tokens in a second. */
function rate(ms: number | null): number | null {
  return ms === null ? null : 1_000 / ms;
}
