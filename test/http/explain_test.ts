import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { type ApprovedPeer, decodeApproval, type Permissions } from "@ark/node/peers";
import type { PeerState } from "@ark/node/routing";
import { type Circumstances, explain } from "../../src/http/admin/explain.ts";

const MODEL = "llama3.1:8b";
const SINCE = "2026-11-20T14:05:59.000Z";

function approved(permissions: Partial<Permissions> = {}, more: Partial<ApprovedPeer> = {}): ApprovedPeer {
  return decodeApproval({
    node_id: generateIdentity().id,
    name: "Dave's Ark",
    ...more,
    permissions: {
      can_request_inference: true,
      models_shared: ["llama3.1:*"],
      max_concurrent_requests: 2,
      ...permissions,
    },
  }, SINCE);
}

function here(parts: Partial<Circumstances["here"]> = {}): Circumstances["here"] {
  const {
    accepting = true,
    engine = true,
    model = MODEL,
    failure = null,
    auditFault = null,
    held = 0,
    obstacle = null,
    yields = null,
  } = parts;
  return { accepting, engine, model, failure, auditFault, held, obstacle, yields };
}

function there(parts: Partial<NonNullable<Circumstances["there"]>> = {}): Circumstances["there"] {
  return { state: "ready", reason: null, since: SINCE, models: [MODEL], offers: true, inFlight: 0, slots: 1, ...parts };
}

function say(parts: Partial<Circumstances> = {}) {
  return explain({
    name: "Dave's Ark",
    model: MODEL,
    peer: approved(),
    expiredAt: null,
    revokedAt: null,
    here: here(),
    there: there(),
    ...parts,
  });
}

Deno.test("explain() says in one sentence that both may ask", () => {
  const { sentence, here, there, details } = say();
  assert.equal(sentence, "Dave's Ark may ask llama3.1:8b here, and you can ask llama3.1:8b there.");
  assert.deepEqual([here.reason, here.advice, there.reason, there.advice], ["ok", null, "ok", null]);
  assert.deepEqual(details, [
    "Dave's Ark may ask llama3.1:*, two questions at a time. It cannot download models.",
    "Dave's Ark cannot download llama3.1:8b from here, because its approval does not let it download models: " +
    "approve it with --pull.",
    "0 of its 2 requests at a time run now.",
    "It offers you llama3.1:8b.",
  ]);
});

const NOBODY = { peer: null, there: null };
for (
  const [reason, parts, because, advice] of [
    ["not_approved", NOBODY, "you have not approved it", /peers approve/],
    ["revoked", { ...NOBODY, revokedAt: SINCE }, "you revoked it on 20 November 2026", /peers approve/],
    ["expired", { ...NOBODY, expiredAt: SINCE }, "its approval ended on 20 November 2026", /peers approve/],
    [
      "expired",
      { ...NOBODY, expiredAt: SINCE, revokedAt: SINCE },
      "its approval ended on 20 November 2026",
      /peers approve/,
    ],
    ["paused", { peer: approved({}, { paused: true }) }, "you paused it", /peers resume/],
    [
      "inference_off",
      { peer: approved({ can_request_inference: false }) },
      "its approval does not let it ask models",
      /peers approve/,
    ],
    [
      "model_not_shared",
      { peer: approved({ models_shared: ["mistral:7b", "qwen*"] }) },
      "you share mistral:7b, qwen* with it",
      /peers approve/,
    ],
    ["model_not_shared", { peer: approved({ models_shared: [] }) }, "you share no model with it", /peers approve/],
    ["no_engine", { here: here({ engine: false, model: null }) }, "this node has not the role compute", /--role/],
    ["no_such_model", { here: here({ model: null }) }, "there is no such model on this node", /models list/],
    ["stopping", { here: here({ accepting: false }) }, "this node is stopping", null],
    [
      "audit_unavailable",
      { here: here({ auditFault: "The disk is full" }) },
      "this node cannot record requests now",
      /^The disk is full$/,
    ],
    ["slots", { here: here({ held: 2 }) }, "all of its 2 requests at a time run now", /when one has ended/],
    [
      "slots",
      { peer: approved({ max_concurrent_requests: 1 }), here: here({ held: 1 }) },
      "its one request at a time runs now",
      /when one has ended/,
    ],
    [
      "rate",
      { here: here({ obstacle: { kind: "rate", most: 10, freeInMs: 11_200 } }) },
      "it has asked 10 times in the last minute",
      /^Dave's Ark may ask again in 12 seconds$/,
    ],
    [
      "tokens",
      { here: here({ obstacle: { kind: "tokens", most: 20_000, freeInMs: 10_000_000 } }) },
      "it has used its 20,000 tokens of 24 hours",
      /again in 3 hours$/,
    ],
    [
      "promised",
      { here: here({ obstacle: { kind: "promised", most: 20_000, freeInMs: 1_000 } }) },
      "its running answers may use the rest of its 20,000 tokens of 24 hours",
      null,
    ],
    [
      "pace",
      { here: here({ obstacle: { kind: "pace", most: 15, freeInMs: 700 } }) },
      "it broke off 15 of its last answers",
      /again in 1 second$/,
    ],
    ["engine_failed", { here: here({ failure: "The model does not fit" }) }, "the engine could not run it", /not fit/],
  ] as const
) {
  Deno.test(`explain() says that a peer cannot ask here, because ${because}`, () => {
    const answer = say(parts);
    assert.equal(answer.here.reason, reason);
    assert.equal(answer.here.sentence, `Dave's Ark cannot ask llama3.1:8b here, because ${because}.`);
    assert.ok(answer.sentence.startsWith(answer.here.sentence.slice(0, -1)), answer.sentence);
    assert.match(answer.sentence, /^[^\n]+[^.]\.$/);
    if (advice === null) assert.equal(answer.here.advice, null);
    else assert.match(answer.here.advice ?? "", advice);
  });
}

const REASON = "Every address refused the connection";
for (
  const [reason, parts, because, advice] of [
    ["not_approved_here", { ...NOBODY }, "only nodes that you approved are sent prompts", null],
    ["unseen", state("unseen"), "it was not seen yet", REASON],
    ["unreachable", state("unreachable"), "it cannot be reached since 2026-11-20 14:05 UTC", REASON],
    [
      "unreachable",
      { there: there({ state: "unreachable", since: null, reason: "It does not accept the time of this node" }) },
      "it cannot be reached",
      "It does not accept the time of this node",
    ],
    [
      "not_approved",
      state("not_approved"),
      "its owner has not approved this node",
      "On that machine, 'ark-node peers discovered' shows this node, to be approved",
    ],
    ["revoked", state("revoked"), "its owner took your approval back", "Ask its owner for a new one"],
    ["draining", state("draining"), "it takes no work of yours since 2026-11-20 14:05 UTC", REASON],
    [
      "thrashing",
      state("thrashing"),
      "it has had too little memory for the work of others since 2026-11-20 14:05 UTC",
      REASON,
    ],
    ["paused", state("paused"), "you paused it", "'ark-node peers resume' ends that"],
    [
      "not_offered",
      { there: there({ offers: false, models: ["mistral:7b", "qwen:4b"] }) },
      "it offers you mistral:7b, qwen:4b",
      "The owner of Dave's Ark decides what is shared with you",
    ],
    [
      "not_offered",
      { there: there({ offers: false, models: [] }) },
      "it offers you no model",
      "The owner of Dave's Ark decides what is shared with you",
    ],
    ["slots", { there: there({ inFlight: 1 }) }, "your one request at a time runs there now", null],
    ["slots", { there: there({ inFlight: 4, slots: 3 }) }, "all of your 3 requests at a time run there", null],
  ] as const
) {
  Deno.test(`explain() says that you cannot ask there, because ${because}`, () => {
    const answer = say(parts);
    assert.equal(answer.there.reason, reason);
    assert.equal(answer.there.sentence, `You cannot ask llama3.1:8b there, because ${because}.`);
    assert.equal(answer.there.advice, advice);
    const link = answer.here.reason === "ok" ? "but" : "and";
    assert.ok(
      answer.sentence.endsWith(`, ${link} you cannot ask llama3.1:8b there, because ${because}.`),
      answer.sentence,
    );
  });
}

function state(state: PeerState) {
  return { there: there({ state, reason: REASON }) };
}

Deno.test("explain() shows that the words were not compared", () => {
  const { details } = say({ peer: approved({}, { verified: false }) });
  assert.match(details.join("\n"), /words on both screens were not compared yet/);
});

const pulls = { can_pull_models: true };
const DOWNLOADS: [string, Partial<Circumstances>, RegExp][] = [
  ["may", { peer: approved(pulls) }, /may download llama3.1:8b from here\.$/],
  ["may though it may not ask", { peer: approved({ ...pulls, can_request_inference: false }) }, /may download llama3/],
  ["may not", {}, /because its approval does not let it download models: approve it with --pull\.$/],
  ["was paused", { peer: approved(pulls, { paused: true }) }, /because you paused it\.$/],
  [
    "is shared another one",
    { peer: approved({ ...pulls, models_shared: ["qwen*"] }) },
    /because you share qwen\* with/,
  ],
  ["is shared none", { peer: approved({ ...pulls, models_shared: [] }) }, /because you share no model with it\.$/],
  [
    "is not here",
    { peer: approved(pulls), here: here({ model: null }) },
    /because there is no such model on this node/,
  ],
  ["node stops", { peer: approved(pulls), here: here({ accepting: false }) }, /because this node is stopping\.$/],
  ["audit", { peer: approved(pulls), here: here({ auditFault: "Full." }) }, /cannot record downloads now\.$/],
];

for (const [name, parts, sentence] of DOWNLOADS) {
  Deno.test(`explain() says whether a peer may download a model: ${name}`, () => {
    const told = say(parts).details.find((detail) => /(?:may|cannot) download llama3.1:8b from here/.test(detail));
    assert.match(told ?? "", sentence);
  });
}

Deno.test("explain() says that a node does not share now, and with whom it does all the same", () => {
  const yields = "Sharing is paused until 18:00";
  const told = say({ here: here({ yields }), peer: approved({ can_pull_models: true }) });
  assert.deepEqual([told.here.reason, told.here.advice], ["yielding", yields]);
  assert.match(told.sentence, /^Dave's Ark cannot ask .* here, because this node does not share now, but you can ask/);
  assert.match(told.details.join(" "), /cannot download .* from here, because this node does not share now/);
  const { here: own } = say({ here: here({ yields }), peer: approved({}, { own: true }) });
  assert.equal(own.reason, "ok");
  const { there: away } = say({ there: there({ state: "yielding" }) });
  assert.match(away.sentence, /because its owner has needed the machine, or shared nothing, since 2026-11-20/);
});
