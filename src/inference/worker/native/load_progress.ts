import type { Complaints } from "../complaints.ts";

/** llama.cpp prints as many dots as there are percent. */
const DOTS = 100;

/** Turns what llama.cpp says while it loads into progress, and hands on what is no chatter. */
export class LoadProgress {
  readonly #complaints: Complaints;
  readonly #progress: (fraction: number) => void;
  #dots = 0;

  /** Tells progress as a number up to 1. */
  constructor(complaints: Complaints, progress: (fraction: number) => void) {
    this.#complaints = complaints;
    this.#progress = progress;
  }

  /** Takes a message. */
  hear(level: string, message: string): void {
    if (/^\.+$/.test(message.trim())) {
      this.#dots += message.trim().length;
      this.#progress(Math.min(1, this.#dots / DOTS));
    } else if (level === "warn" || level === "error" || level === "fatal") this.#complaints.hear(level, message);
  }
}
