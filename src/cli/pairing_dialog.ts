import type { Admitted, PairingJson } from "@ark/node/http";
import { isOpen } from "@ark/node/peers";
import { escaped } from "@ark/node/telemetry";
import { type CommandContext, CommandError, EXIT } from "./command.ts";
import type { NodeClient } from "./node_client.ts";
import type { Output } from "./output.ts";
import { askChoice, isYes, type PermissionChoice } from "./permission_choice.ts";
import { sseData } from "./sse_data.ts";
import { TypedLines } from "./typed_lines.ts";

/** Options of {@linkcode PairingDialog}. */
export interface PairingDialogOptions {
  /** The command. */
  context: CommandContext;
  /** The owner's node. */
  node: NodeClient;
  /** The pairing. */
  session: string;
  /** What the other node may do, where it was said on the command line. */
  choice: PermissionChoice | null;
  /** Whether a person is there to be asked. */
  person: boolean;
  /** What the person types, where something was asked before. */
  lines?: Pick<TypedLines, "next">;
  /** Ends the dialog in place of Ctrl-C, and leaves the pairing as it is. */
  signal?: AbortSignal;
}

/** Follows a pairing to its end: tells at once what the other owner does, and asks what this one decides. */
export class PairingDialog {
  readonly #options: PairingDialogOptions;
  readonly #lines: Pick<TypedLines, "next">;
  readonly #failed = Promise.withResolvers<never>();
  #asked: PairingJson["phase"] | null = null;
  #said = "";
  #acting: Promise<unknown> = Promise.resolve();

  /** Makes a dialog about one pairing. */
  constructor(options: PairingDialogOptions) {
    this.#options = options;
    this.#lines = options.lines ?? new TypedLines(options.context.input);
  }

  /** Returns the exit status when the pairing is over. Ctrl-C cancels it on both sides. */
  async run(): Promise<number> {
    const { node, session, signal = null } = this.#options;
    const cancel = () => {
      void this.#act("cancel").catch(() => Deno.exit(130));
    };
    if (signal === null) Deno.addSignalListener("SIGINT", cancel);
    const gone = new AbortController();
    try {
      const until = signal === null ? gone.signal : AbortSignal.any([gone.signal, signal]);
      const response = await node.open("/peers/pair/events", undefined, { signal: until });
      const changes = sseData<{ pairings: PairingJson[] }>(response.body ?? new ReadableStream());
      for (;;) {
        const step = await Promise.race([changes.next(), this.#failed.promise]);
        // What was decided here is told before what came of it.
        await this.#acting;
        const pairing = step.done ? undefined : step.value.pairings.find((one) => one.session === session);
        if (pairing === undefined) throw new CommandError("The node does not know this pairing any more: begin anew");
        if (!isOpen(pairing.phase)) return this.#over(pairing);
        this.#goOn(pairing);
      }
    } finally {
      gone.abort();
      if (signal === null) Deno.removeSignalListener("SIGINT", cancel);
    }
  }

  #goOn(pairing: PairingJson): void {
    const { context: { out, json }, person, choice } = this.#options;
    const { phase, mine, name } = pairing;
    if (phase === "comparing" && mine === "waiting" && person && this.#once(phase)) {
      return this.#ask(() => this.#compare(pairing));
    }
    if (phase === "choosing" && mine !== "approved" && name !== null && this.#once(phase)) {
      if (person || choice !== null || pairing.approved) return this.#ask(() => this.#choose(pairing, name));
    }
    if (json || this.#said === pairing.sentence || phase === "opening") return;
    this.#said = pairing.sentence;
    // What is asked stands on the screen already.
    const asked = phase === "choosing" ? mine !== "approved" : person && mine === "waiting";
    if (!asked) out.line(safe(pairing.sentence));
  }

  async #compare(pairing: PairingJson): Promise<void> {
    const { context: { out } } = this.#options;
    showWords(out, pairing);
    out.line("Does the other screen show the same words? Read them aloud, or look.");
    for (;;) {
      out.text("Yes, or different (d), or cancel (c): ");
      const typed = await this.#lines.next();
      if (typed === null || /^c(ancel)?$/i.test(typed)) return await this.#act("cancel");
      if (isYes(typed)) return await this.#act("match");
      if (/^(d(ifferent)?|no?)$/i.test(typed)) return await this.#act("different");
    }
  }

  async #choose({ looks_like, approved }: PairingJson, name: string): Promise<void> {
    const { context, node, session, person } = this.#options;
    const { out, json } = context;
    if (looks_like !== null && !json) {
      out.line(
        `Careful: ${safe(name)} looks like ${safe(looks_like)}, which you approved before, and is another node.`,
      );
    }
    let choice: PermissionChoice | { keep: true } | null = this.#options.choice;
    if (choice === null && approved) choice = { keep: true };
    if (choice === null && person) choice = await askChoice(safe(name), { context, node, lines: this.#lines });
    if (choice === null) return await this.#act("cancel");
    const deciding = node.call<Admitted>(`/peers/pair/${session}/approve`, choice).then((admitted) => {
      if (!json) out.line(safe(admitted.summary));
      if (!admitted.recorded) out.note("ark-node: The approval counts, but could not be recorded in the audit log.");
    });
    this.#acting = deciding.catch(() => {});
    await deciding;
  }

  #over(pairing: PairingJson): number {
    const { context: { out, json } } = this.#options;
    if (json) out.json(pairing);
    else out.line(`\n${safe(pairing.sentence)}`);
    return pairing.phase === "connected" ? EXIT.ok : EXIT.failed;
  }

  async #act(what: string): Promise<void> {
    await this.#options.node.call(`/peers/pair/${this.#options.session}/${what}`, {});
  }

  /** Asks beside the changes: the other owner's word must not wait for an answer. */
  #ask(question: () => Promise<void>): void {
    question().catch((error) => this.#failed.reject(error));
  }

  #once(phase: PairingJson["phase"]): boolean {
    if (this.#asked === phase) return false;
    this.#asked = phase;
    return true;
  }
}

/** Shows the words of a pairing as large as a terminal allows, and the numbers for the telephone. */
export function showWords(out: Output, { words, numbers, address }: PairingJson): void {
  const cells = (words ?? []).map((word, at) => {
    const number = String(numbers?.[at] ?? 0).padStart(4, "0");
    return { word: word.toUpperCase(), number, width: Math.max(word.length, number.length) };
  });
  const row = (texts: string[]) => `    ${texts.join("     ")}`.trimEnd();
  out.line(address === null ? "" : `\nNode at ${safe(address)}\n`);
  out.strong(row(cells.map(({ word, width }) => word.padEnd(width))));
  out.line(`${row(cells.map(({ number, width }) => number.padEnd(width)))}\n`);
}

function safe(text: string): string {
  return escaped(text, 500);
}
