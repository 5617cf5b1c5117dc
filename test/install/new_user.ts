/**
 * The way of a new user, as he goes it: two machines without anything, a release on a stick, and in the end an answer that
 * the one machine got from the other. Real terminals, real multicast, users without any right.
 */
import assert from "node:assert/strict";
import { NetworkLab } from "../support/netns.ts";
import { MODEL } from "../mesh/test_node.ts";
import { Machine, type Terminal } from "./machine.ts";

/** One step of the way. */
export interface Step {
  /** At which machine. */
  machine: string;
  /** What was typed. */
  command: string;
  /** What was answered to its questions, here and there. */
  answers: string[];
  /** Machine time, from the command to its result. */
  seconds: number;
}

/** What came of it. */
export interface NewUserPath {
  /** Steps in order. */
  steps: Step[];
  /** Who answered, as the asking terminal says. */
  answeredBy: string;
  /** Questions of the other machine that the answering node has on record. */
  served: number;
}

const COMMAND = "~/.local/bin/ark-node";

/** Goes the way with a release, and returns the steps. */
export async function newUserPath(release: string, { root }: { root: string }): Promise<NewUserPath> {
  await using lab = await NetworkLab.create(["laptop", "gaming-pc"]);
  const laptop = await Machine.create(lab.host("laptop"), { name: "laptop", root, number: 0 });
  const pc = await Machine.create(lab.host("gaming-pc"), { name: "gaming-pc", root, number: 1 });
  await pc.put(new URL("../fixtures/arkling-9m-q4_0.gguf", import.meta.url), "models/arkling-9m-q4_0.gguf");

  const steps: Step[] = [];
  /** Types a command, and waits until it has done what it is for. */
  async function step(
    machine: Machine,
    command: string,
    done: (terminal: Terminal, answers: string[]) => Promise<unknown>,
  ): Promise<Terminal> {
    const answers: string[] = [];
    const began = performance.now();
    const terminal = machine.terminal(command);
    await done(terminal, answers);
    steps.push({ machine: machine.name, command, answers, seconds: (performance.now() - began) / 1_000 });
    return terminal;
  }
  const toItsEnd = async (terminal: Terminal) => assert.equal(await terminal.ended, 0, terminal.screen);
  const ready = (terminal: Terminal) => terminal.shows(/Ready after \d+ ms/);

  await step(pc, `sh '${release}/install.sh'`, toItsEnd);
  await step(laptop, `sh '${release}/install.sh'`, toItsEnd);
  const there = await step(pc, `${COMMAND} --models ~/models`, ready);
  const here = await step(laptop, COMMAND, ready);
  await step(laptop, `${COMMAND} peers pair`, async (terminal, answers) => {
    const say = async (at: Terminal, question: RegExp, line: string) => {
      await at.answer(question, line);
      answers.push(`${at === there ? pc.name : laptop.name}: ${line || "Enter"}`);
    };
    await say(terminal, /A node is near[^]*Pair with it\?[^\n]*: $/, "");
    await say(terminal, /or cancel \(c\): $/, "yes");
    await say(there, /Another node wants to pair[^]*or cancel \(c\): $/, "yes");
    assert.deepEqual(wordsOn(terminal), wordsOn(there));
    await say(there, /What may laptop do here\?[^]*1, 2 or 3 \[1\]: $/, "");
    await say(there, /Which models\? \[[^\]]+\]: $/, "");
    await say(there, /Is that right\?[^\n]*: $/, "");
    await say(terminal, /What may gaming-pc do here\?[^]*1, 2 or 3 \[3\]: $/, "");
    await say(terminal, /Is that right\?[^\n]*: $/, "");
    await toItsEnd(terminal);
    assert.match(terminal.screen, /Connected with gaming-pc\./);
  });
  const asked = await step(laptop, `${COMMAND} ask ${MODEL} --max-tokens 24 "Why is the sky blue?"`, toItsEnd);
  const [, answeredBy = ""] = /^(.*): \d+ tokens, first after/m.exec(asked.screen) ?? [];

  // Not part of the way: the record of the node that answered.
  const entries = JSON.parse(await pc.run(`${COMMAND} audit tail --json`));
  for (const node of [there, here]) {
    // Ctrl-C, as the banner says.
    await node.type("\u0003");
    await toItsEnd(node);
    assert.doesNotMatch(node.screen, / (ERROR|WARN) /);
  }
  return { steps, answeredBy, served: servedIn(entries) };
}

/** The four words that a screen shows. */
function wordsOn({ screen }: Terminal): string[] {
  const words = /^ {4}([A-Z]+(?: +[A-Z]+){3})$/m.exec(screen)?.[1]?.split(/ +/) ?? [];
  assert.equal(words.length, 4, screen);
  return words;
}

function servedIn(answer: { entries: { kind: string; direction: string | null; outcome?: string }[] }): number {
  return answer.entries.filter(({ kind, direction, outcome }) =>
    kind === "end" && direction === "in" && outcome === "ok"
  ).length;
}
