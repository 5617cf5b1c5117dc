/** Two machines for one page. */
import { until } from "../inference/local_fixture.ts";
import { Machine } from "./machine.ts";
import type { Page } from "./page.ts";

/** What stands ready when a page begins: which machines have models, which nodes run, and whether they know each other. */
export const STATES = {
  /** No node runs, and the other machine has models. */
  new: { models: ["there"], runs: [], paired: false },
  /** No node runs, and this machine has models. */
  off: { models: ["here"], runs: [], paired: false },
  /** The node of this machine runs and has models. */
  alone: { models: ["here"], runs: ["here"], paired: false },
  /** Both nodes run and know nothing of each other; the other one has models. */
  near: { models: ["there"], runs: ["here", "there"], paired: false },
  /** Both nodes run and approved each other; the other one has models. */
  paired: { models: ["there"], runs: ["here", "there"], paired: true },
} as const satisfies Record<string, { models: readonly Side[]; runs: readonly Side[]; paired: boolean }>;

/** The machine that the reader sits at, and the other one. */
type Side = "here" | "there";

/** One of {@linkcode STATES}. */
export type State = keyof typeof STATES;

/** Two machines, and what a page calls them. */
export class Sandbox implements AsyncDisposable {
  /** The machine that the reader sits at. */
  readonly here: Machine;
  /** The other one. */
  readonly there: Machine;
  readonly #names: ReadonlyMap<string, string>;

  private constructor(here: Machine, there: Machine, names: ReadonlyMap<string, string>) {
    this.here = here;
    this.there = there;
    this.#names = names;
  }

  /** Makes what a page begins with. */
  static async make({ sandbox, name, names }: Page): Promise<Sandbox> {
    const state = (sandbox ?? "off") as State;
    if (!Object.hasOwn(STATES, state)) throw new Error(`${name}: there is no sandbox ${state}`);
    // Every address of 127.0.0.0/8 is this machine, so that each page has the usual ports for itself.
    const [a, b] = crypto.getRandomValues(new Uint8Array(2));
    const [mine, others] = [1, 2].map((last) => `127.${(a ?? 0) % 250 + 1}.${(b ?? 0) % 250 + 1}.${last}`) as [
      string,
      string,
    ];
    const label = (key: string, usual: string) =>
      (names.get(key) ?? usual).split(",")[0]?.trim().split(".")[0] ?? usual;
    const has = (side: Side) => ({ models: (STATES[state].models as readonly Side[]).includes(side) });
    const here = await Machine.make({ address: mine, other: others, name: label("here", "desk") }, has("here"));
    const there = await Machine.make({ address: others, other: mine, name: label("there", "neighbour") }, has("there"));
    const made = new Sandbox(here, there, names);
    try {
      await made.#begin(state);
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The machine that is not this one. */
  other(machine: Machine): Machine {
    return machine === this.here ? this.there : this.here;
  }

  /** Waits until the node of this machine knows who has a model. */
  async reaches(model: string): Promise<void> {
    await until(async () => {
      const { models } = await this.here.admin<{ models: { id: string }[] }>("/models");
      return models.some(({ id }) => id === model);
    });
  }

  /** A text of the page with the addresses of the sandbox in place of those of the page, as seen from a machine. */
  actual(text: string, machine: Machine): string {
    const named = (key: string) => (this.#names.get(key) ?? "").split(",").map((name) => name.trim()).filter(Boolean);
    let put = text;
    for (const [key, one] of [["here", this.here], ["there", this.there]] as const) {
      for (const name of named(key).filter((name) => name.includes("."))) {
        put = put.replaceAll(
          new RegExp(`(?<![\\w.@-])${RegExp.escape(name)}(?![\\w-]|\\.\\w)`, "g"),
          one.place.address,
        );
      }
    }
    const { address } = machine.place;
    return put.replaceAll(/\b(127\.0\.0\.1|0\.0\.0\.0|localhost)(?=[:/\s"'])/g, address).replaceAll(
      "/home/you",
      machine.home,
    );
  }

  /** Stops both. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.here[Symbol.asyncDispose](), this.there[Symbol.asyncDispose]()]);
  }

  async #begin(state: State): Promise<void> {
    const { runs, paired } = STATES[state];
    await Promise.all(runs.map(async (side) => {
      const { code, output } = await this[side].run("ark-node");
      if (code !== 0) throw new Error(`A node does not start: ${output}`);
    }));
    if (!paired) return;
    await this.#approve(this.there, this.here);
    await this.#approve(this.here, this.there);
    await this.reaches("llama3.1:8b");
  }

  async #approve(machine: Machine, other: Machine): Promise<void> {
    const { node_id } = await other.admin<{ node_id: string }>("/status");
    let public_key: string | undefined;
    await until(async () => {
      const { peers } = await machine.admin<{ peers: { node_id: string; public_key: string }[] }>("/peers/discovered");
      public_key = peers.find((peer) => peer.node_id === node_id)?.public_key;
      return public_key !== undefined;
    });
    await machine.admin("/peers/approve", {
      node_id: other.place.name,
      public_key,
      permissions: {
        can_request_inference: true,
        can_pull_models: true,
        models_shared: ["*"],
        max_concurrent_requests: 2,
        // What a tiny model writes may go on for ever.
        max_tokens_per_request: 24,
      },
    });
  }
}
