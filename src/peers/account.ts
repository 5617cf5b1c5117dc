import { ArkError, LIMITS } from "@ark/node/protocol";
import { AbortPace } from "./abort_pace.ts";
import type { Permissions } from "./approved_peer.ts";
import { RateWindow } from "./rate_window.ts";
import { type TokenSlot, TokenWindow } from "./token_window.ts";

/** What a request may cost, as far as that is known before it runs. */
export interface Cost {
  /** Tokens of its prompt, by a guess. */
  promptTokens: number;
  /** Tokens that it wants to be written at most; absent for as many as it may have. */
  maxTokens?: number;
}

/** How a request ended, for those who count. */
export type Ending = "answered" | "broken_off" | "failed";

/** The tokens of one admitted request. What it does not use comes back when it is settled. */
export interface Charge {
  /** Longest answer that it may have, in tokens. */
  readonly maxTokens: number;
  /**
   * Takes the true length of the prompt, as soon as it is known and before the model reads it.
   *
   * @throws {ArkError} `busy` or `too_large` where that is more than the peer has left; nothing is charged then.
   */
  read(promptTokens: number): void;
  /**
   * Takes tokens that were written.
   *
   * @throws {ArkError} `busy` where the peer has no more: the answer ends there.
   */
  write(tokens: number): void;
  /** Ends the account of this request, with all tokens that were written where that is known. Only the first call counts. */
  settle(how: Ending, written?: number): void;
}

/** Why a peer has to wait. */
export interface Obstacle {
  /**
   * `rate`: requests of this minute; `tokens`: tokens of the last 24 hours; `promised`: tokens that its running answers
   * may still use; `pace`: it broke off too many answers.
   */
  readonly kind: "rate" | "tokens" | "promised" | "pace";
  /** The limit's number: requests a minute, tokens a day, or answers broken off of the last twenty. */
  readonly most: number;
  /** Milliseconds until it may ask again, as far as that is known. */
  readonly freeInMs: number;
}

/** What one peer has used up, counted by its key. Times are monotonic milliseconds. */
export class Account {
  readonly #now: () => number;
  readonly #requests = new RateWindow();
  readonly #tokens: TokenWindow;
  readonly #pace = new AbortPace();
  #promised = 0;
  #open = 0;

  /** Opens an account, with the tokens that were kept of it. */
  constructor({ now, kept = [] }: { now: () => number; kept?: readonly TokenSlot[] }) {
    this.#now = now;
    this.#tokens = new TokenWindow(kept, now());
  }

  /** Requests that began in the last minute. */
  get requests(): number {
    return this.#requests.count(this.#now());
  }

  /** Tokens of the last 24 hours. */
  get tokens(): number {
    return this.#tokens.used(this.#now());
  }

  /** Tokens that running requests may use. */
  get promised(): number {
    return this.#promised;
  }

  /** Whether nothing would be lost with it. */
  get blank(): boolean {
    const now = this.#now();
    const idle = this.#open === 0 && this.#tokens.used(now) === 0 && this.#requests.count(now) === 0;
    return idle && this.#pace.freeInMs(now) === 0;
  }

  /** What is to be kept over a restart. */
  slots(): TokenSlot[] {
    return this.#tokens.slots(this.#now());
  }

  /** What stands in the way of one more request, or null. */
  obstacle(limits: Permissions): Obstacle | null {
    const now = this.#now();
    const pace = this.#pace.freeInMs(now);
    if (pace > 0) return { kind: "pace", most: this.#pace.brokenOff, freeInMs: pace };
    const { max_requests_per_minute: rate, max_tokens_per_day: day } = limits;
    const freeInMs = rate === undefined ? 0 : this.#requests.freeInMs(rate, now);
    if (rate !== undefined && freeInMs > 0) return { kind: "rate", most: rate, freeInMs };
    // One token of a prompt and one of an answer are the least that a request takes.
    return day === undefined ? null : this.#short(day, Math.min(2, day));
  }

  /**
   * Opens the account of one request.
   *
   * @throws {ArkError} `busy`, with the time after which it may be tried again.
   */
  open(limits: Permissions, { promptTokens, maxTokens = Infinity }: Cost): Charge {
    const day = limits.max_tokens_per_day ?? Infinity;
    // A guess must not shut out for good what may fit: the true length decides, once it is known.
    const prompt = Math.max(1, Math.min(promptTokens, day - 1));
    const obstacle = this.obstacle(limits) ?? this.#short(day, Math.min(prompt + 1, day));
    if (obstacle !== null) throw busy(obstacle);
    const longest = Math.min(maxTokens, limits.max_tokens_per_request ?? LIMITS.peerMaxTokens);
    const granted = Math.max(1, Math.min(longest, this.#room(day) - prompt));
    this.#requests.add(this.#now());
    return this.#charge({ day, prompt, granted });
  }

  #charge({ day, prompt, granted }: { day: number; prompt: number; granted: number }): Charge {
    const began = this.#now();
    let held = this.#hold(prompt + granted);
    let allowed = granted;
    let read: number | null = null;
    let written = 0;
    let over = false;
    this.#open++;
    return {
      maxTokens: granted,
      read: (tokens) => {
        const room = this.#room(day) + held;
        if (tokens >= room) {
          if (tokens >= day) throw tooLong(day);
          throw busy(this.#short(day, tokens + 1) ?? { kind: "tokens", most: day, freeInMs: 0 });
        }
        read = tokens;
        allowed = Math.min(granted, room - tokens);
        this.#hold(-held);
        held = this.#hold(tokens + allowed);
      },
      write: (tokens) => {
        written += tokens;
        if (written <= allowed) return;
        written = allowed;
        throw busy(this.#short(day, 1) ?? { kind: "tokens", most: day, freeInMs: 0 });
      },
      settle: (how, total = 0) => {
        if (over) return;
        over = true;
        written = Math.min(allowed, Math.max(written, total));
        const now = this.#now();
        this.#hold(-held);
        // Whoever leaves before the engine has begun pays what he announced: asking and leaving is not for free.
        const spent = read === null ? (how === "broken_off" ? prompt : 0) : read + written;
        this.#tokens.add(spent, now);
        this.#pace.note({ brokenOff: how === "broken_off", ranMs: now - began }, now);
        this.#open--;
      },
    };
  }

  #hold(tokens: number): number {
    if (Number.isFinite(tokens)) this.#promised += tokens;
    return tokens;
  }

  /** Tokens that are neither spent nor promised. */
  #room(day: number): number {
    return day - this.#tokens.used(this.#now()) - this.#promised;
  }

  /** Why so many tokens cannot be had now, or null where they can. */
  #short(day: number, need: number): Obstacle | null {
    if (this.#room(day) >= need) return null;
    const freeInMs = this.#tokens.freeInMs(Math.max(0, day - need), this.#now());
    return freeInMs > 0 ? { kind: "tokens", most: day, freeInMs } : { kind: "promised", most: day, freeInMs: 1_000 };
  }
}

/** How long it takes, as people say it, rounded up: `12 seconds`, `3 hours`. */
export function lasting(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  const [count, unit] = seconds < 120
    ? [seconds, "second"]
    : seconds < 7_200
    ? [Math.ceil(seconds / 60), "minute"]
    : [Math.ceil(seconds / 3_600), "hour"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

const SENTENCES: Record<Obstacle["kind"], (most: string, when: string) => string> = {
  rate: (most, when) => `This node takes ${most} of your requests in a minute; ask again in ${when}`,
  tokens: (most, when) => `Your ${most} tokens of 24 hours are used up at this node; ask again in ${when}`,
  promised: (most) =>
    `Your running answers may use the rest of your ${most} tokens of 24 hours; ask again when one has ended`,
  pace: (most, when) => `You broke off ${most} of your last answers, so this node takes your next request in ${when}`,
};

function busy({ kind, most, freeInMs }: Obstacle): ArkError {
  const sentence = SENTENCES[kind](most.toLocaleString("en-US"), lasting(freeInMs));
  return new ArkError("busy", sentence, { retryAfterSeconds: Math.max(1, Math.ceil(freeInMs / 1_000)) });
}

function tooLong(day: number): ArkError {
  const most = day.toLocaleString("en-US");
  return new ArkError("too_large", `This prompt is longer than the ${most} tokens that you may use here in 24 hours`);
}
