/**
 * What a link does to an answer: 24 scenarios over two peers, each behind a link of its own. None loses or doubles a token,
 * and none ends silently.
 */
import type { Direction, Fault, Shape } from "../../support/fault_proxy.ts";
import { askChain, assertWhole, type ChainAnswer, type ChainQuestion } from "./chain_client.ts";
import { FaultLab, type LabPeer } from "./fault_lab.ts";

/** When a fault strikes. */
const MOMENTS = ["before the first token", "in mid-stream", "at the end"] as const;
type Moment = typeof MOMENTS[number];

/** Words of an answer, and how fast they come. */
const TOKENS = 40;
const PACE = "#slow=5";

const SHAPES: Record<string, Shape> = {
  latency: { latencyMs: 150 },
  jitter: { jitterMs: 200 },
  "a narrow link": { bytesPerSecond: 6_000 },
  slicing: { sliceBytes: 3 },
};

const FAULTS: Record<string, { fault: Fault; direction: Direction | "both"; afterBytes?: number }> = {
  // In the middle of a record of TLS, and of an event.
  reset: { fault: "reset", direction: "down", afterBytes: 333 },
  "a black hole": { fault: "black-hole", direction: "both" },
  "a half close": { fault: "half-close", direction: "down" },
};

let questions = 0;

/** Asks, and does something to the link of whoever answers when the moment has come. */
async function strikeAt(lab: FaultLab, moment: Moment, strike: (peer: LabPeer) => void): Promise<ChainAnswer> {
  const tag = `q${++questions}`;
  const question: ChainQuestion = { tokens: TOKENS, ends: "stop", prompt: `#tag=${tag} ${PACE}` };
  if (moment === "before the first token") {
    const asked = askChain(lab.api, { ...question, prompt: `${question.prompt} #prefill=400` });
    strike(await lab.begun(tag));
    return await asked;
  }
  const when = moment === "in mid-stream" ? TOKENS / 2 : TOKENS;
  let struck = false;
  return await askChain(lab.api, {
    ...question,
    prompt: `${question.prompt} #linger=300`,
    seen(tokens, node) {
      if (struck || tokens < when) return;
      struck = true;
      strike(lab.peer(node));
    },
  });
}

/** All links are well again, and the next question is answered as if nothing had been. */
async function recovered(lab: FaultLab): Promise<void> {
  for (const { link } of lab.peers) link.heal();
  await lab.settled();
  assertWhole(await askChain(lab.api, { tokens: 3 }), "afterwards");
}

Deno.test("A link that is slow, uneven, narrow or sliced costs time and no token, whenever it becomes so", async (t) => {
  await using lab = await FaultLab.start();
  for (const [name, shape] of Object.entries(SHAPES)) {
    for (const moment of MOMENTS) {
      await t.step(`${name} ${moment}`, async () => {
        const answer = await strikeAt(lab, moment, ({ link }) => link.shape("both", shape));
        await recovered(lab);
        assertWhole(answer);
      });
    }
  }
});

Deno.test("A link that breaks loses and doubles no token, whenever it breaks", async (t) => {
  await using lab = await FaultLab.start();
  for (const [name, { fault, ...options }] of Object.entries(FAULTS)) {
    for (const moment of MOMENTS) {
      await t.step(`${name} ${moment}`, async () => {
        // Nothing more than the end comes of an answer that is over but for that.
        const { afterBytes = 0 } = options;
        const when = { ...options, afterBytes: moment === "in mid-stream" ? afterBytes : Math.min(afterBytes, 20) };
        const answer = await strikeAt(lab, moment, ({ link }) => link.fail(fault, when));
        await recovered(lab);
        assertWhole(answer);
      });
    }
  }
});

Deno.test("A link that breaks while nothing is asked is not noticed by who asks next", async (t) => {
  await using lab = await FaultLab.start();
  const [first] = lab.peers;
  await t.step("idle connections are reset", async () => {
    for (const { link } of lab.peers) link.fail("reset", { direction: "both" });
    assertWhole(await askChain(lab.api, { tokens: 5 }));
    await recovered(lab);
  });
  await t.step("idle connections of one peer are a black hole", async () => {
    first?.link.fail("black-hole", { direction: "both" });
    assertWhole(await askChain(lab.api, { tokens: 5 }));
    await recovered(lab);
  });
  await t.step("what a peer tells of itself is cut in the middle", async () => {
    first?.link.fail("reset", { direction: "down", afterBytes: 200 });
    await first?.link.failed;
    assertWhole(await askChain(lab.api, { tokens: 5 }));
    await recovered(lab);
  });
});
