import { byteCount } from "../byte_count.ts";
import { type Command, type CommandContext, CommandError, EXIT, textFlag, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";
import { MOST_QUESTION_BYTES, questionOf } from "../question.ts";
import { sseData } from "../sse_data.ts";

/** Asks a model, and streams the answer. */
export const ASK: Command = {
  name: "ask",
  summary: "Ask a model, here or at a peer, and stream the answer",
  usage: "MODEL [QUESTION…]",
  flags: {
    file: { value: "FILE", short: "f", multiple: true, help: "text file that the question is about; may be repeated" },
    system: { value: "TEXT", help: "instruction that stands before the question" },
    "max-tokens": { value: "N", help: "most tokens of the answer (default: as many as the model has room for)" },
    temperature: { value: "T", help: "0 (always the likeliest) to 2" },
    seed: { value: "N", help: "same seed, same answer" },
    "local-only": { help: "ask this machine's own models: the question does not leave it" },
  },
  details: `
What is piped in belongs to the question, too; without QUESTION and --file it is the question. Files and what is piped in
are text, ${byteCount(MOST_QUESTION_BYTES)} at most; the model reads no more than its context takes.

Ctrl-C ends the answer, and the command ends with 130. Who answered, and how fast, is told on standard error
where a person reads along, and with --json.`,
  async run(context) {
    const { out, words: [model, ...words], flags, json, input } = context;
    if (model === undefined) throw new UsageError("Name a model and a question: ark-node ask MODEL QUESTION");
    const generation = numbers(flags);
    const files = Array.isArray(flags.file) ? flags.file : [];
    const node = await NodeClient.find(context);
    const question = await questionOf({ words, files, input, out });
    const system = textFlag(flags, "system");
    const began = performance.now();
    const stop = new AbortController();
    const interrupted = () => stop.abort();
    Deno.addSignalListener("SIGINT", interrupted);
    const answer: Answer = { text: "", finish_reason: null, usage: null, firstMs: 0, node: "", route: null };
    try {
      const response = await node.open("/v1/chat/completions", {
        model,
        messages: [...(system === undefined ? [] : [{ role: "system", content: system }]), {
          role: "user",
          content: question,
        }],
        stream: true,
        stream_options: { include_usage: true },
        ...generation,
      }, { signal: stop.signal, ...flags["local-only"] === true ? { fields: { "x-ark-local-only": "1" } } : {} });
      answer.node = decodeURIComponent(response.headers.get("x-ark-node") ?? "");
      answer.route = response.headers.get("x-ark-route");
      for await (const chunk of sseData<Chunk>(response.body ?? new ReadableStream())) {
        if (chunk.error !== undefined) {
          if (!json) out.line();
          throw new CommandError(chunk.error.message);
        }
        const choice = chunk.choices?.[0];
        const text = choice?.delta.content ?? "";
        if (text !== "" && answer.text === "") answer.firstMs = performance.now() - began;
        answer.text += text;
        if (!json) out.text(text);
        answer.finish_reason = choice?.finish_reason ?? answer.finish_reason;
        answer.usage = chunk.usage ?? answer.usage;
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    } finally {
      Deno.removeSignalListener("SIGINT", interrupted);
    }
    const stopped = stop.signal.aborted;
    tell(context, { model, answer, stopped, seconds: (performance.now() - began - answer.firstMs) / 1_000 });
    return stopped ? EXIT.interrupted : EXIT.ok;
  },
};

/** What came of a question. */
interface Answer {
  text: string;
  finish_reason: string | null;
  usage: Usage | null;
  firstMs: number;
  node: string;
  route: string | null;
}

/** Ends the answer: with everything about it as JSON, else with what a person wants to know. */
function tell(
  { out, json, flags }: CommandContext,
  { model, answer, stopped, seconds }: { model: string; answer: Answer; stopped: boolean; seconds: number },
): void {
  const { text, finish_reason, usage, firstMs, node, route } = answer;
  const tokens = usage?.completion_tokens ?? 0;
  const first_token_ms = Math.round(firstMs * 10) / 10;
  const tokens_per_second = seconds > 0 && tokens > 0 ? Math.round((tokens - 1) / seconds * 10) / 10 : null;
  if (json) {
    out.json({
      model,
      node,
      route,
      text,
      finish_reason: stopped ? "stopped" : finish_reason,
      usage,
      first_token_ms,
      tokens_per_second,
    });
    return;
  }
  out.line();
  if (stopped) out.note("ark-node: The answer was stopped.");
  else if (finish_reason === "length" && flags["max-tokens"] === undefined) {
    out.note(
      "ark-node: The answer ends here: there is no more room in the model's context, or at the one who answered.",
    );
  }
  if (out.terminal && !stopped) {
    out.note(`\n${node}: ${tokens} tokens, first after ${first_token_ms} ms, ${tokens_per_second ?? "?"} tokens/s`);
  }
}

/** Tokens of a request, as the API counts them. */
interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

interface Chunk {
  choices?: { delta: { content?: string }; finish_reason: string | null }[];
  usage?: Usage;
  error?: { message: string };
}

function numbers(flags: Record<string, unknown>): Record<string, number> {
  const given: Record<string, number> = {};
  for (
    const [flag, field] of [["max-tokens", "max_tokens"], ["temperature", "temperature"], ["seed", "seed"]] as const
  ) {
    const text = flags[flag];
    if (typeof text !== "string") continue;
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value)) throw new UsageError(`Flag --${flag} is a number`);
    given[field] = value;
  }
  return given;
}
