import assert from "node:assert/strict";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { runForPerson, runMain } from "./run_main.ts";

function run(node: TestNode, ...args: string[]) {
  return runMain([...args, "--data", node.data]);
}

Deno.test("invite prints a link, with a QR code at a terminal; peers accept takes it, however it was wrapped", async () => {
  await using b = await TestNode.start({ name: "Bea's Ark", models: [FIXTURES] });
  await using a = await TestNode.start({ name: "Mom's Ark" });
  assert.match((await run(b, "invites")).stdout, /^There is no invitation: make one with 'ark-node invite'\.\n$/);
  const person = runForPerson(["invite", "--preset", "ask", "--models", MODEL, "--expires", "24h", "--data", b.data]);
  assert.equal(await person.finished, 0, person.screen);
  assert.match(person.screen, /^ark:1:[a-z2-7]{56}:127\.0\.0\.1:\d+:[A-Za-z0-9_-]{22}\n\n[ █▀▄\n]{500,}\n/);
  assert.match(
    person.screen,
    /It works once, until \d{4}-\d\d-\d\d \d\d:\d\d UTC\. On the other machine: ark-node peers accept LINK/,
  );

  const made = await run(b, "invite", "--name", "Mom");
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /^ark:1:\S+\n$/, "Only the link goes to whatever reads along");
  const link = made.stdout.trim();
  const accepted = await run(a, "peers", "accept", link.slice(0, 40), link.slice(40));
  assert.equal(accepted.code, 0, accepted.stderr);
  assert.match(
    accepted.stdout,
    /^You are let in by Bea's Ark: .*\nBea's Ark may not use anything here\..*\nWhen you see each other, compare words/,
  );
  assert.match((await run(b, "invites")).stdout, /\n[0-9a-f]{16} +accepted +\S+ \S+ +Mom, compare words later\n/);
  assert.match(
    (await run(b, "peers")).stdout,
    /Mom is not verified: compare words with its owner, ark-node peers pair \w{8}\./,
  );
  const again = await run(b, "peers", "accept", link);
  assert.deepEqual([again.code, /of this node itself/.test(again.stderr)], [1, true]);

  const open = /\n([0-9a-f]{16}) +open/.exec((await run(b, "invites")).stdout)?.[1] ?? "";
  assert.equal((await run(b, "invites", "revoke", open)).stdout, "It cannot be accepted any more.\n");
  assert.equal((await run(b, "invites", "revoke", open)).code, 1);
});

Deno.test("invite and peers accept say what is wrong with a command line before anything is used up", async () => {
  await using a = await TestNode.start({ name: "A" });
  for (
    const [args, code, sentence] of [
      [["invite"], 2, /There is no model here that it could ask/],
      [["invite", "--preset", "none", "--expires", "never"], 2, /lives for 30 days at most/],
      [["invite", "--preset", "none", "--expires", "31d"], 1, /between a minute and 30 days/],
      [["invite", "--preset", "none", "--at", "nowhere"], 1, /no address such as/],
      [["peers", "accept"], 2, /Give the invitation/],
      [["peers", "accept", "ark:1:nonsense"], 1, /This is no invitation, or not all of it/],
      [["invites", "revoke"], 2, /Name one invitation/],
    ] as const
  ) {
    const answer = await run(a, ...args);
    assert.deepEqual([answer.code, sentence.test(answer.stderr)], [code, true], answer.stderr);
  }
});
