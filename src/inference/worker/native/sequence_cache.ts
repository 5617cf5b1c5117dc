/** What the memory of one sequence holds. */
export interface Slot {
  /** Number of the sequence. */
  readonly sequence: number;
  /** Tokens whose state is there, in order. */
  tokens: number[];
  /** So many of them, from the first on, were computed in whole chunks of a prompt, as they would be again. */
  regular: number;
  /** Whose they are; null where there are none. */
  principal: string | null;
  /** Which additions to the model they were computed with. */
  variant: string;
  /** Whether they are of one who goes first: others take another sequence where there is one. */
  urgent: boolean;
  /** Whether a request uses it now. */
  busy: boolean;
  /** When it was used last, in turns. */
  used: number;
}

/** What a request needs of a sequence. */
export interface Wanted {
  /** Whose it is. */
  principal: string;
  /** Which additions to the model it uses. */
  variant: string;
  /** Its prompt. */
  prompt: readonly number[];
  /** Whether the result must be the same as if nothing had been there. */
  exact: boolean;
  /** Whether it goes first. */
  urgent: boolean;
}

/** How a model's state may be used again. */
export interface SequenceRules {
  /** Tokens of a whole chunk. */
  chunkTokens: number;
  /** Whether state can be cut anywhere, or only gone on with. */
  cuttable: boolean;
}

/**
 * Which sequence a request gets, and how much of what that holds it may use. State of one principal is never used for
 * another, not even its presence: it is erased before anything else is done with the sequence.
 *
 * Of a free sequence of the same principal the longest common beginning is kept. Where the same seed must lead to the
 * same text, only whole chunks are, which would be computed again in the same way to the last bit.
 */
export class SequenceCache {
  readonly #slots: readonly Slot[];
  readonly #rules: SequenceRules;
  readonly #forget: (sequence: number, from: number) => void;
  #turn = 0;

  /** Makes a cache of empty sequences; `forget` erases what one holds from a position on. */
  constructor(slots: number, rules: SequenceRules, forget: (sequence: number, from: number) => void) {
    this.#slots = Array.from({ length: slots }, (_, sequence) => ({
      sequence,
      tokens: [],
      regular: 0,
      principal: null,
      variant: "",
      urgent: false,
      busy: false,
      used: 0,
    }));
    this.#rules = rules;
    this.#forget = forget;
  }

  /**
   * Makes sure that there is a free sequence without anybody else's state, before anything of a request is looked at:
   * so what it is refused for makes no difference to what it leaves behind.
   */
  reserve(principal: string, { urgent }: Pick<Wanted, "urgent">): void {
    const free = this.#slots.filter(({ busy }) => !busy);
    if (free.some((slot) => slot.principal === null || slot.principal === principal)) return;
    const oldest = leastWanted(free, urgent);
    if (oldest !== undefined) this.erase(oldest);
  }

  /** Takes a free sequence, with as much of the prompt's state as there is: its `tokens`. Undefined where none is free. */
  take(wanted: Wanted): Slot | undefined {
    const free = this.#slots.filter(({ busy }) => !busy);
    const best = free
      .map((slot) => ({ slot, common: this.#usable(slot, wanted) }))
      .reduce<{ slot: Slot; common: number } | undefined>(
        (first, next) => first === undefined || next.common > first.common ? next : first,
        undefined,
      );
    if (best === undefined) return undefined;
    const slot = best.common > 0
      ? best.slot
      : free.find(({ principal }) => principal === null) ?? leastWanted(free, wanted.urgent) ?? best.slot;
    if (slot.principal !== wanted.principal) this.erase(slot);
    this.#cut(slot, best.common);
    slot.principal = wanted.principal;
    slot.variant = wanted.variant;
    slot.urgent = wanted.urgent;
    slot.busy = true;
    slot.used = ++this.#turn;
    return slot;
  }

  /** Gives a sequence back; what it holds stays for the same principal. */
  free(slot: Slot): void {
    slot.busy = false;
    slot.used = ++this.#turn;
    if (slot.tokens.length === 0) slot.principal = null;
  }

  /** Erases all that a sequence holds. */
  erase(slot: Slot): void {
    this.#forget(slot.sequence, 0);
    slot.tokens = [];
    slot.regular = 0;
    slot.principal = null;
  }

  #cut(slot: Slot, length: number): void {
    if (length === slot.tokens.length) return;
    this.#forget(slot.sequence, length);
    slot.tokens.length = length;
    slot.regular = Math.min(slot.regular, length);
  }

  /** How many tokens of what a sequence holds a request may use. The prompt's last token is always computed. */
  #usable(slot: Slot, { principal, variant, prompt, exact }: Wanted): number {
    if (slot.principal !== principal || slot.variant !== variant) return 0;
    const { chunkTokens, cuttable } = this.#rules;
    const most = Math.min(slot.tokens.length, prompt.length - 1);
    let common = 0;
    while (common < most && slot.tokens[common] === prompt[common]) common++;
    if (exact) common = Math.floor(Math.min(common, slot.regular) / chunkTokens) * chunkTokens;
    return cuttable || common === slot.tokens.length ? common : 0;
  }
}

/** The one that was used least recently; for one who does not go first, of those who do not. */
function leastWanted(slots: readonly Slot[], urgent: boolean): Slot | undefined {
  return leastUsed(urgent ? slots : slots.filter((slot) => !slot.urgent)) ?? leastUsed(slots);
}

function leastUsed(slots: readonly Slot[]): Slot | undefined {
  return slots.reduce<Slot | undefined>(
    (first, next) => first === undefined || next.used < first.used ? next : first,
    undefined,
  );
}
