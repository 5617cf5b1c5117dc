/** Many clients at once, each at another point of its answer, so that one fault strikes many streams at different tokens. */
import { setTimeout as pause } from "node:timers/promises";
import { cleanEnvironment } from "../../support/node_process.ts";
import type { NetworkHost } from "../../support/netns.ts";
import { askChain, type ChainAnswer } from "./chain_client.ts";

/** Clients of one round. */
export interface ClientsOptions {
  /** How many. */
  clients: number;
  /** Words of each answer. */
  tokens: number;
  /** Milliseconds for each word. */
  slowMs: number;
}

/** How far a client is. */
export interface ClientState {
  /** Words that it has. */
  tokens: number;
  /** Who answers it. */
  node: string | null;
  /** Whether its answer is over. */
  over: boolean;
}

/** A round of clients that runs. */
export interface Clients {
  /** How far each is. */
  readonly states: readonly ClientState[];
  /** What each got. */
  readonly answers: Promise<ChainAnswer[]>;
}

/** Starts clients one after the other, so that the last begins when the first has two thirds of its answer. */
export function startClients(api: string, options: ClientsOptions): Clients {
  const { clients, tokens, slowMs } = options;
  const states = Array.from({ length: clients }, (): ClientState => ({ tokens: 0, node: null, over: false }));
  const apartMs = tokens * slowMs * 2 / 3 / clients;
  const answers = Promise.all(states.map(async (state, index) => {
    await pause(index * apartMs);
    const answer = await askChain(api, {
      tokens,
      // With each end of an answer in turn.
      ends: index % 2 === 0 ? "stop" : "length",
      prompt: `#slow=${slowMs} question ${index}`,
      seen(count, node) {
        Object.assign(state, { tokens: count, node });
      },
    });
    state.over = true;

    return answer;
  }));
  return { states, answers };
}

/** The same in a process on a host of a lab of namespaces. */
export function startClientsOn(host: NetworkHost, api: string, options: ClientsOptions): Clients {
  const states = Array.from({ length: options.clients }, (): ClientState => ({ tokens: 0, node: null, over: false }));
  const child = host.spawn(
    [Deno.execPath(), "run", "-A", import.meta.filename ?? "", api, JSON.stringify(options)],
    { env: cleanEnvironment(), stdout: "piped", stderr: "inherit" },
  );
  const answers = (async () => {
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const told = JSON.parse(line) as { states: ClientState[]; answers?: ChainAnswer[] };
        told.states.forEach((state, index) => Object.assign(states[index] ?? {}, state));
        if (told.answers !== undefined) {
          await child.status;
          return told.answers;
        }
      }
    }
    throw new Error("The clients' process ended without their answers");
  })();
  answers.catch(() => {});
  return { states, answers };
}

if (import.meta.main) {
  const [api = "", options = "{}"] = Deno.args;
  const write = (line: unknown) => void Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(line) + "\n"));
  const { states, answers } = startClients(api, JSON.parse(options));
  const timer = setInterval(() => write({ states }), 20);
  const all = await answers;
  clearInterval(timer);
  write({ states, answers: all });
}
