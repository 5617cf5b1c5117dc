/** The real engine: an answer that another node goes on with, and what it would have been. */
import assert from "node:assert/strict";
import { askChain } from "./chain_client.ts";
import { FaultLab } from "./fault_lab.ts";

const LONG = Deno.env.has("ARK_LONG");
const TOKENS = 96;

const PROMPTS = [
  "Tell me about nodes.",
  "How is a model loaded?",
  "What does a peer see?",
  "Explain the audit log.",
  "Where are the keys kept?",
  "Write a list of commands.",
  "Why is a request refused?",
  "Describe the network.",
];

Deno.test("An answer of the real engine that another node goes on with is as long as it was to be", async () => {
  await using lab = await FaultLab.start({ worker: "worker_main" });
  let same = 0;
  let struck = 0;
  const rounds = LONG ? 60 : 4;
  for (let round = 0; round < rounds; round++) {
    const question = {
      tokens: TOKENS,
      prompt: `${PROMPTS[round % PROMPTS.length]} ${round}`,
      parameters: { temperature: 0, seed: 7 },
    };
    const undisturbed = await askChain(lab.api, question);
    assert.equal(undisturbed.error, null);
    const before = lab.failovers;
    let cut = false;
    const answer = await askChain(lab.api, {
      ...question,
      seen(words, node) {
        if (cut || words < 3 + round % 12) return;
        cut = true;
        lab.peer(node).link.fail("reset");
      },
    });
    for (const { link } of lab.peers) link.heal();
    await lab.settled();
    assert.equal(answer.error, null, `round ${round}`);
    assert.ok(answer.done && answer.counted !== null && answer.counted <= TOKENS, `${answer.counted}`);
    assert.notEqual(answer.finish, null);
    // A text that ended by its limit has as many tokens as it may have, with the seam in it.
    if (answer.finish === "length") assert.equal(answer.counted, TOKENS);
    if (lab.failovers > before) {
      struck++;
      if (answer.text === undisturbed.text) same++;
    }
  }
  // deno-lint-ignore no-console
  console.log(
    `The real engine at temperature 0: ${same} of ${struck} answers that changed hands are as undisturbed ` +
      `(${rounds} rounds)`,
  );
  assert.ok(struck > 0, "No answer changed hands");
});
