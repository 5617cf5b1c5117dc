/** That nobody's prompt reaches another principal: on whole nodes, with the real engine. */
import assert from "node:assert/strict";
import type { LocalBackend } from "@ark/node/inference";
import { answerOf, asking, question } from "../inference/backend_contract.ts";
import { realBackend } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";
const CONVERSATIONS = 40;
const TURNS = LONG ? 50 : 3;

interface Observed {
  prompt: string;
  principal: string;
  reused: number;
}

Deno.test(`T34 T35: No secret crosses in ${CONVERSATIONS} conversations of two peers and the owner at once`, async () => {
  await using node = await TestNode.start({ name: "B", models: [FIXTURES], worker: "observed_worker" });
  await using first = await TestNode.start({ name: "A", peers: [node.mesh] });
  await using second = await TestNode.start({ name: "C", peers: [node.mesh] });
  for (const peer of [first, second]) {
    await node.approve({ publicKey: peer.publicKey, name: peer === first ? "A" : "C" }, { max_concurrent_requests: 4 });
    await peer.approve({ publicKey: node.publicKey, name: "B" });
    await peer.reaches(MODEL);
  }

  const principals = { owner: node, first, second };
  const names = Object.keys(principals) as (keyof typeof principals)[];
  const secrets = new Map<string, string>();
  const answers: { secret: string; text: string }[] = [];
  const conversations = Array.from({ length: CONVERSATIONS }, (_, index) => {
    const name = names[index % names.length] ?? "owner";
    const secret = `${name} ${crypto.randomUUID()}`;
    secrets.set(secret, name);
    return { name, secret, turns: 0 };
  });

  /** One principal's conversations, each by turns: so that the engine goes from one to the other all the time. */
  async function converse(name: keyof typeof principals): Promise<void> {
    const mine = conversations.filter((one) => one.name === name);
    for (let turn = 0; turn < TURNS; turn++) {
      for (const { secret } of mine) {
        const messages = [
          { role: "user", content: `The password is ${secret}.` },
          { role: "assistant", content: "The server is ready." },
          { role: "user", content: `Turn ${turn}: what is the password?` },
        ];
        const response = await principals[name].chat({ model: MODEL, messages, max_tokens: 8, temperature: 0 });
        const { choices, error } = await response.json();
        assert.equal(response.status, 200, error?.message);
        answers.push({ secret, text: choices[0].message.content });
      }
    }
  }
  await Promise.all(names.map(converse));

  assert.equal(answers.length, CONVERSATIONS * TURNS);
  for (const { secret, text } of answers) {
    for (const other of secrets.keys()) {
      // The random part alone would give it away, too, and any quarter of it.
      const parts = other.split(/[ -]/).slice(1).filter((part) => part.length >= 8);
      if (other !== secret) {
        assert.ok(!parts.some((part) => text.includes(part)), `${other} in the answer to ${secret}`);
      }
    }
  }

  const observed = node.workerLog().split("\n").filter(Boolean).map((line) => JSON.parse(line) as Observed);
  assert.equal(observed.length, answers.length);
  let [changes, kept] = [0, 0];
  let before: string | undefined;
  const labels = new Map<string, string>();
  for (const { prompt, principal, reused } of observed) {
    const now = secrets.get([...secrets.keys()].find((secret) => prompt.includes(secret)) ?? "");
    assert.ok(now !== undefined);
    if (now !== before) {
      changes++;
      assert.equal(reused, 0, `${reused} tokens of ${before} were taken for ${now}`);
    } else if (reused > 0) kept++;
    before = now;
    // The engine is told one and the same label for all of a principal's, and none of another's.
    assert.equal(labels.getOrInsert(now, principal), principal);
  }
  // Otherwise the lines above would have said nothing.
  assert.ok(changes >= CONVERSATIONS / 2, `The principal changed only ${changes} times`);
  const again = { model: MODEL, messages: [{ role: "user", content: "The same question twice" }], max_tokens: 2 };
  for (let i = 0; i < 2; i++) await (await node.chat(again)).text();
  if (kept === 0) {
    const last = JSON.parse(node.workerLog().trimEnd().split("\n").at(-1) ?? "") as Observed;
    assert.ok(last.reused > 0, "State is not reused even for the same principal");
  }
});

Deno.test("T34: What a principal is answered does not depend on who asked before", async () => {
  const prompts = ["The node is", "To install the package", "The password is"];
  const parameters = { temperature: 0, max_tokens: 16 };
  const ask = async (backend: LocalBackend, prompt: string, principal: string) =>
    (await answerOf(backend.infer(question("arkling", prompt, parameters), asking({ principal })))).text;
  await using backend = await realBackend();
  for (const prompt of prompts) {
    await ask(backend, "Something else altogether", `before ${prompt}`);
    const alone = await ask(backend, prompt, `alone ${prompt}`);
    // The same prompt, a longer and a shorter one of others: all of it would be in a shared cache.
    for (const other of [prompt, `${prompt} 4711 and more`, prompt.slice(0, 5)]) {
      await ask(backend, other, "another");
      assert.equal(await ask(backend, prompt, `after ${other}`), alone);
    }
  }
});

/** How well a number tells two lists apart: 0.5 not at all, 1 always. */
function areaUnderCurve(lower: readonly number[], higher: readonly number[]): number {
  let wins = 0;
  for (const a of lower) for (const b of higher) wins += a < b ? 1 : a === b ? 0.5 : 0;
  return wins / (lower.length * higher.length);
}

Deno.test({
  name: "T35: How long a prompt takes does not tell a peer whether the owner used its beginning" +
    (LONG ? "" : " (skipped: times are measured in the long form, ARK_LONG=1)"),
  ignore: !LONG,
  async fn() {
    await using backend = await realBackend();
    const words = "install the package on a server and start the node ".repeat(12);
    const parameters = { temperature: 0, max_tokens: 1 };
    const ask = async (prompt: string, principal: string) => {
      const began = performance.now();
      await answerOf(backend.infer(question("arkling", prompt, parameters), asking({ principal })));
      return performance.now() - began;
    };
    /** Asks what the owner just asked, and what nobody asked, as `probe`: times of both, in a mixed order. */
    async function probes(count: number, probe: string): Promise<[number[], number[]]> {
      const hits: number[] = [];
      const misses: number[] = [];
      for (let i = 0; i < count * 2; i++) {
        const hit = Math.random() < 0.5 ? hits.length < count : misses.length >= count;
        const used = `${crypto.randomUUID()} ${words}`;
        await ask(used, "owner");
        const other = `${crypto.randomUUID()} ${words}`;
        (hit ? hits : misses).push(await ask(hit ? used : other, probe));
      }
      return [hits, misses];
    }
    const area = areaUnderCurve(...await probes(500, "peer"));
    assert.ok(Math.abs(area - 0.5) <= 0.05, `A peer tells hits from misses with ${area}`);
    // The owner himself does get the gain, so the probe can see one.
    const own = areaUnderCurve(...await probes(50, "owner"));
    assert.ok(own > 0.9, `The probe sees the owner's own reuse only with ${own}`);
  },
});
