/** Who may go on with an answer, what it is asked, and what is told of it. */
import assert from "node:assert/strict";
import { ArkError, decodeTokenIds, encodeTokenIds, type InferenceEvent, LIMITS } from "@ark/node/protocol";
import { Transcript, withoutIds } from "../../src/routing/transcript.ts";
import { CHAIN, chain, ChainBackend, chainScene, type Fate, MODEL, PROMPT, readChain } from "./chain_backend.ts";

/** Two of whom the first one, which is asked first, dies after the start and three tokens. */
function dying(
  how: Fate["how"] = "unavailable",
  options: ConstructorParameters<typeof ChainBackend>[1] = {},
): ChainBackend[] {
  const fates = [{ after: 4, how }];
  return [new ChainBackend("a", { fates }), new ChainBackend("b", options)];
}

Deno.test("The one who goes on is asked for the rest, from the very tokens, and the answer's end tells of the whole", async () => {
  const peers = dying();
  const { infer, steps } = chainScene({ peers });
  const parameters = { max_tokens: 12, temperature: 0.7, seed: 7, stop: ["x"] };
  const { ids, events } = await readChain(infer({ parameters }));
  assert.deepEqual(ids, chain(12));
  const [resumed] = peers[1]?.requests ?? [];
  assert.deepEqual(decodeTokenIds(resumed?.resume?.prompt ?? ""), PROMPT);
  assert.deepEqual(decodeTokenIds(resumed?.resume?.written ?? ""), [6, 7, 8]);
  assert.deepEqual(resumed?.parameters, { ...parameters, max_tokens: 9 });
  assert.ok(resumed?.ids);
  const kinds = steps.map(({ type }) => type);
  assert.deepEqual(kinds, ["ranked", "asked", "began", "failed", "asked", "continued", "ended"]);
  const failed = steps.find((step) => step.type === "failed");
  const continued = steps.find((step) => step.type === "continued");
  assert.ok(failed?.tokens === 3 && failed.code === "unavailable");
  assert.ok(continued?.tokens === 3 && continued.gapMs >= 0);
  assert.ok(steps.every(({ ms }, index) => ms >= (steps[index - 1]?.ms ?? 0)));
  const end = events.at(-1);
  assert.ok(end?.type === "end");
  assert.deepEqual(end.usage, { prompt_tokens: PROMPT.length, completion_tokens: 12 });
});

Deno.test("This node's own engine goes on for a peer, and a peer for this node's own engine", async () => {
  for (const how of ["unavailable", "engine_failed"] as const) {
    const fates = [{ after: 4, how }];
    const local = new ChainBackend("here", { fates });
    const scene = chainScene({
      peers: [new ChainBackend("a", { fates: [{ after: 3, how }] }), new ChainBackend("b")],
      local,
    });
    assert.deepEqual((await readChain(scene.infer())).ids, chain(12));
    const away = chainScene({
      peers: [new ChainBackend("a", { fates })],
      local: new ChainBackend("here", { startMs: 5 }),
    });
    assert.deepEqual((await readChain(away.infer())).ids, chain(12));
  }
});

Deno.test("An answer ends with the error of the one who failed where nobody has its weights, or it does not tell its tokens", async () => {
  const other = "0e".repeat(32);
  for (const options of [{ digest: other }, { digest: null }]) {
    const peers = [
      new ChainBackend("a", { fates: [{ after: 4, how: "engine_failed" }] }),
      new ChainBackend("b", options),
    ];
    const { infer, steps } = chainScene({ peers });
    const { ids, error } = await readChain(infer());
    assert.deepEqual([ids, error?.code, error?.message], [chain(3), "engine_failed", "a met its fate"]);
    assert.deepEqual(steps.at(-1)?.type === "ended" && steps.at(-1), {
      ...steps.at(-1),
      outcome: "engine_failed",
      tokens: 3,
    });
  }
  for (const options of [{ mute: true }, { old: true }]) {
    // An old one is asked twice: with the wish for its tokens, and without.
    const after = { after: 4, how: "unavailable" as const };
    const peers = [0, 1].map((index) => new ChainBackend(`p${index}`, { ...options, fates: [after, after, after] }));
    const { ids, error } = await readChain(chainScene({ peers }).infer());
    assert.deepEqual([ids, error?.code], [chain(3), "unavailable"]);
    assert.ok(peers.every(({ requests }) => requests.every(({ resume }) => resume === undefined)));
  }
});

Deno.test("A node of an earlier version answers as ever: it is asked again without what it does not know, and that is remembered", async () => {
  const peers = [new ChainBackend("old", { old: true })];
  const { infer, steps, log } = chainScene({ peers });
  for (let round = 0; round < 3; round++) assert.deepEqual((await readChain(infer())).ids, chain(12));
  assert.deepEqual(peers[0]?.requests.map(({ ids }) => ids === true), [true, false, false, false]);
  assert.ok(!steps.some(({ type }) => type === "failed") && log.length === 0, "That is no failure of it");
});

Deno.test("A request that must stay here is not gone on with elsewhere, and an API key's permits hold for who goes on", async () => {
  const fates = [{ after: 4, how: "engine_failed" as const }];
  const own = new ChainBackend("here", { fates });
  const peer = new ChainBackend("a");
  const stay = await readChain(chainScene({ peers: [peer], local: own }).infer({}, { localOnly: true }));
  assert.deepEqual([stay.ids, stay.error?.code, peer.requests.length], [chain(3), "engine_failed", 0]);
  const asked: string[] = [];
  let allowed = true;
  const permits = (model: string) => (asked.push(model), allowed);
  const events: InferenceEvent[] = [];
  const scene = chainScene({ peers: dying() });
  await assert.rejects(async () => {
    for await (const event of scene.infer({}, { permits })) {
      events.push(event);
      // What was permitted at the beginning is not any more.
      allowed = false;
    }
  }, { code: "unavailable" });
  assert.equal(events.length, 4);
  assert.ok(asked.length > 2 && asked.every((model) => model === MODEL));
  assert.equal(scene.peers[1]?.requests.length, 0);
});

Deno.test("A prompt that brings three engines down is not given to a fourth, and one that a node finds wrong ends there", async () => {
  const crash = [{ after: 3, how: "engine_failed" as const }, { after: 3, how: "engine_failed" as const }];
  const peers = Array.from({ length: 5 }, (_, index) => new ChainBackend(`p${index}`, { fates: crash }));
  const { ids, error } = await readChain(chainScene({ peers, hedge: "off" }).infer());
  assert.equal(error?.code, "engine_failed");
  assert.ok(ids.length <= 12 && peers.reduce((sum, { requests }) => sum + requests.length, 0) === 3);
  const wrong = dying("context_exceeded");
  const over = await readChain(chainScene({ peers: wrong.slice(0, 1) }).infer());
  assert.deepEqual([over.ids, over.error?.code], [chain(3), "context_exceeded"]);
});

Deno.test("Who was busy just now, or could not be reached, is asked once more where all have failed", async () => {
  for (const how of ["busy", "unavailable"] as const) {
    const once = [0, 1].map((index) => new ChainBackend(`p${index}`, { fates: [{ after: 0, how }] }));
    assert.deepEqual((await readChain(chainScene({ peers: once }).infer())).ids, chain(12));
    const always = { fates: Array.from({ length: 9 }, () => ({ after: 0, how })) };
    const peers = [0, 1].map((index) => new ChainBackend(`p${index}`, always));
    const { error } = await readChain(chainScene({ peers, hedge: "off" }).infer());
    assert.deepEqual([error?.code, peers.map(({ requests }) => requests.length)], [how, [2, 2]]);
  }
});

Deno.test("Where all who were asked broke off at once, the first that comes back is waited for", async () => {
  const away = new Set<ChainBackend>();
  const peers = [0, 1].map((index) => new ChainBackend(`p${index}`, { fates: [{ after: 0, how: "unavailable" }] }));
  const { infer, steps } = chainScene({ peers, hedge: "off", away });
  const answer = readChain(infer({}, {
    step(step) {
      steps.push(step);
      if (step.type !== "failed") return;
      for (const peer of peers) away.add(peer);
      setTimeout(() => peers.slice(1).forEach((peer) => away.delete(peer)), 300);
    },
  }));
  assert.deepEqual((await answer).ids, chain(12));
  assert.deepEqual(peers.map(({ requests }) => requests.length), [1, 2]);
});

Deno.test("An answer changes hands only so often", async () => {
  const fates = Array.from({ length: 30 }, () => ({ after: 2, how: "unavailable" as const }));
  const peers = Array.from({ length: 4 }, (_, index) => new ChainBackend(`p${index}`, { fates }));
  const { infer, steps } = chainScene({ peers, hedge: "off" });
  const { ids, error } = await readChain(infer({ parameters: { max_tokens: 30 } }));
  assert.deepEqual([ids, error?.code], [chain(7), "unavailable"]);
  assert.equal(steps.filter(({ type }) => type === "continued").length, 6);
});

Deno.test("One who goes on with other weights, another prompt, or a call that was made before is no successor", async () => {
  for (const grammar of ["digest", "prompt"] as const) {
    const liar = new ChainBackend("liar");
    const honest = liar.infer.bind(liar);
    liar.infer = async function* (request, options) {
      for await (const event of honest(request, options)) {
        if (event.type !== "start" || request.resume === undefined) yield event;
        else yield grammar === "digest" ? { ...event, digest: "ee".repeat(32) } : { ...event, prompt_tokens: 99 };
      }
    };
    const dead = new ChainBackend("a", { fates: [{ after: 4, how: "engine_failed" }] });
    const { infer, steps } = chainScene({ peers: [dead, liar], hedge: "off" });
    const { ids, error } = await readChain(infer());
    assert.deepEqual([ids, error?.code], [chain(3), "engine_failed"]);
    assert.ok(steps.filter(({ type }) => type === "failed").length >= 2);
  }
});

Deno.test("Neither tokens nor words of an answer get into the log or the steps", async () => {
  const peers = dying();
  const { infer, steps, log } = chainScene({ peers });
  const canary = "canary-prompt";
  await readChain(infer({ input: { kind: "completion", prompt: canary } }));
  const told = JSON.stringify([steps, log]);
  for (const secret of [canary, encodeTokenIds(PROMPT), encodeTokenIds([6, 7, 8]), "[6,7,8]"]) {
    assert.ok(!told.includes(secret), secret);
  }
});

const START = {
  type: "start",
  model: MODEL,
  digest: CHAIN,
  prompt_tokens: 5,
  prompt_ids: encodeTokenIds(PROMPT),
} as const;
const REQUEST = { model: MODEL, input: { kind: "completion" as const, prompt: "x" }, parameters: { max_tokens: 9 } };

Deno.test("Transcript holds no more tokens than can be gone on with, and none that do not add up", () => {
  const long = new Transcript({ ...REQUEST, parameters: {} });
  long.begin(START);
  const ids = new Array(1_000).fill(7);
  for (let part = 0; part < 32; part++) long.take({ type: "text", text: "", tokens: 1_000, ids });
  assert.ok(long.resumable);
  for (let part = 0; part < 2; part++) long.take({ type: "text", text: "", tokens: 1_000, ids });
  assert.ok(!long.resumable && long.tokens === 34_000);
  for (const wrong of [{ tokens: 2, ids: [1] }, { tokens: 1 }, { tokens: 0, ids: [1] }]) {
    const transcript = new Transcript(REQUEST);
    transcript.begin(START);
    transcript.take({ type: "text", text: "", tokens: 1, ids: [6] });
    assert.ok(transcript.resumable);
    transcript.take({ type: "text", text: "", ...wrong });
    assert.ok(!transcript.resumable);
  }
  for (const start of [{ ...START, prompt_tokens: 4 }, { ...START, digest: null }]) {
    const transcript = new Transcript(REQUEST);
    transcript.begin(start);
    transcript.take({ type: "text", text: "", tokens: 1, ids: [6] });
    assert.ok(!transcript.resumable);
  }
  const most = new Array(LIMITS.resumedTokens).fill(1);
  const full = new Transcript(REQUEST);
  full.begin({ ...START, prompt_tokens: most.length, prompt_ids: encodeTokenIds(most) });
  full.take({ type: "text", text: "", tokens: 1, ids: [6] });
  assert.ok(!full.resumable);
});

Deno.test("Transcript refuses a successor that repeats a call or gives arguments to none", () => {
  const begun = () => {
    const transcript = new Transcript(REQUEST);
    transcript.begin(START);
    transcript.take({ type: "tool_call", index: 0, id: "c0", name: "f", tokens: 1, ids: [6] });
    transcript.goOn(START);
    return transcript;
  };
  const call = { type: "tool_call" as const, name: "f", tokens: 1, ids: [7] };
  for (
    const part of [{ ...call, index: 0, id: "c1" }, { ...call, index: 1, id: "c0" }, { ...call, index: 2, id: "c2" }]
  ) {
    assert.throws(() => begun().take(part), (error) => error instanceof ArkError && error.code === "unavailable");
  }
  assert.throws(() => begun().take({ type: "tool_arguments", index: 1, text: "", tokens: 0, ids: [] }), ArkError);
  begun().take({ ...call, index: 1, id: "c1" });
  begun().take({ type: "tool_arguments", index: 0, text: "{", tokens: 1, ids: [7] });
});

Deno.test("withoutIds() takes away what only nodes are told", () => {
  const { prompt_ids: _, ...start } = START;
  assert.deepEqual(withoutIds(START), start);
  const text = { type: "text" as const, text: "x", tokens: 1 };
  assert.deepEqual(withoutIds({ ...text, ids: [1] }), text);
  assert.equal(withoutIds(text), text);
});

Deno.test("Router.explain() tells the candidates best first with their numbers, and asks nobody", () => {
  const peers = [new ChainBackend("a"), new ChainBackend("b")];
  const { router } = chainScene({ peers, local: new ChainBackend("here") });
  const all = router.explain(MODEL, { promptTokens: 10, answerTokens: 10 });
  assert.deepEqual(all.map(({ key }) => key === "local").filter(Boolean).length, 1);
  assert.equal(all.length, 3);
  assert.ok(
    all.every((one, index) => one.estimateMs > 0 && (index < 2 || one.estimateMs >= (all[1]?.estimateMs ?? 0))),
  );
  for (const { breaker, digest, model, slots } of all) {
    assert.deepEqual([breaker, digest, model, slots > 0], ["closed", CHAIN, MODEL, true]);
  }
  assert.deepEqual(router.explain("gone:1b"), []);
  assert.ok(peers.every(({ requests }) => requests.length === 0));
});

Deno.test("Every request has one last step, whatever happens to it", async () => {
  for (const peers of [[], dying("bad_request"), dying("revoked"), [new ChainBackend("a")]]) {
    const { infer, steps } = chainScene({ peers });
    const { error } = await readChain(infer());
    const ended = steps.filter((step) => step.type === "ended");
    assert.equal(ended.length, 1);
    assert.equal(steps.at(-1), ended[0]);
    assert.equal(ended[0]?.type === "ended" && ended[0].outcome, error?.code ?? "ok");
  }
  const left = chainScene({ peers: [new ChainBackend("a")] });
  for await (const { type } of left.infer()) if (type === "text") break;
  assert.deepEqual(left.steps.at(-1), { ...left.steps.at(-1), type: "ended", outcome: "cancelled", tokens: 1 });
  const aborted = chainScene({ peers: [new ChainBackend("a")] });
  await readChain(aborted.infer({}, { signal: AbortSignal.abort() }));
  assert.deepEqual(aborted.steps.map(({ type }) => type), ["ended"]);
});
