import { type Command, CommandError, EXIT, textFlag, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";
import { sseData } from "../sse_data.ts";

/** Asks a model, and streams the answer. */
export const ASK: Command = {
  name: "ask",
  summary: "Ask a model, here or at a peer, and stream the answer",
  usage: "MODEL PROMPT…",
  flags: {
    system: { value: "TEXT", help: "instruction that stands before the question" },
    "max-tokens": { value: "N", help: "most tokens of the answer" },
    temperature: { value: "T", help: "0 (always the likeliest) to 2" },
    seed: { value: "N", help: "same seed, same answer" },
    "local-only": { help: "ask this machine's own models: the question does not leave it" },
  },
  details: "Without PROMPT, or with -, the question is read from standard input.",
  async run(context) {
    const { out, words: [model, ...prompt], flags, json } = context;
    if (model === undefined) throw new UsageError("Name a model and a question: ark-node ask MODEL PROMPT");
    const node = await NodeClient.find(context);
    const question = prompt.length === 0 || prompt.join(" ") === "-" ? await standardInput() : prompt.join(" ");
    const system = textFlag(flags, "system");
    const began = performance.now();
    const response = await node.open("/v1/chat/completions", {
      model,
      messages: [...(system === undefined ? [] : [{ role: "system", content: system }]), {
        role: "user",
        content: question,
      }],
      stream: true,
      stream_options: { include_usage: true },
      ...numbers(flags),
    }, flags["local-only"] === true ? { fields: { "x-ark-local-only": "1" } } : {});
    const answer = { text: "", finish_reason: null as string | null, usage: null as Usage | null, firstMs: 0 };
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
    const seconds = (performance.now() - began - answer.firstMs) / 1_000;
    const tokens = answer.usage?.completion_tokens ?? 0;
    const by = decodeURIComponent(response.headers.get("x-ark-node") ?? "");
    const result = {
      model,
      node: by,
      route: response.headers.get("x-ark-route"),
      text: answer.text,
      finish_reason: answer.finish_reason,
      usage: answer.usage,
      first_token_ms: Math.round(answer.firstMs * 10) / 10,
      tokens_per_second: seconds > 0 ? Math.round((tokens - 1) / seconds * 10) / 10 : null,
    };
    if (json) out.json(result);
    else {
      out.line();
      if (out.terminal) {
        out.note(
          `\n${by}: ${tokens} tokens, first after ${result.first_token_ms} ms, ${result.tokens_per_second} tokens/s`,
        );
      }
    }
    return EXIT.ok;
  },
};

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

async function standardInput(): Promise<string> {
  const text = (await new Response(Deno.stdin.readable).text()).trim();
  if (text === "") throw new UsageError("There is no question: write it after the model, or pipe it in");
  return text;
}
