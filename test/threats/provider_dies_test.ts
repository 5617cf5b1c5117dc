/** A provider that dies: nobody notices before the first word, and everybody is told after it. */
import assert from "node:assert/strict";
import { auditOf, readStream, TestNode } from "../mesh/test_node.ts";
import { answerEvents } from "../routing/scripted_peer.ts";
import { until } from "../inference/local_fixture.ts";
import { HostilePeer } from "./hostile_peer.ts";

const MODEL = "tiny:1b";
const WORDS = 16;
const WHOLE = Array.from({ length: WORDS }, (_, index) => `w${index} `).join("");

/** Where an answer of 16 words is cut: after so many frames, and so many bytes of the next one. */
interface Cut {
  frames: number;
  bytes: number;
}

/** Nothing at all, only a head, within a start, between any two words, within a word, before the receipt and in it. */
const CUTS: readonly Cut[] = [
  { frames: -1, bytes: 0 },
  { frames: 0, bytes: 0 },
  { frames: 0, bytes: 9 },
  { frames: 1, bytes: 0 },
  { frames: 1, bytes: 12 },
  ...Array.from({ length: 12 }, (_, index) => ({ frames: index + 2, bytes: index % 3 === 0 ? 7 : 0 })),
  { frames: WORDS + 1, bytes: 0 },
  { frames: WORDS + 2, bytes: 0 },
  { frames: WORDS + 2, bytes: 40 },
];

/** The beginning of an honest answer, and then silence until the provider dies: at once where no word is to be shown. */
function cutAt({ frames, bytes }: Cut, { whole, die }: { whole: Uint8Array[]; die: () => void }): Response {
  if (frames < 0) {
    die();
    return new Response(null, { status: 503 });
  }
  const parts = [...whole.slice(0, frames), (whole[frames] ?? new Uint8Array()).subarray(0, bytes)];
  const left = parts.filter(({ length }) => length > 0);
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = left.shift();
      if (next !== undefined) return controller.enqueue(next);
      if (frames < 2) die();
      return new Promise(() => {});
    },
  }, { highWaterMark: 0 });
  return new Response(stream, { headers: { "content-type": "text/event-stream" } });
}

/** Reads a stream, and calls back as soon as so many words were shown. */
async function readUntil(response: Response, { words, then }: { words: number; then: () => void }): Promise<string> {
  let body = "";
  let called = words === 0;
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    body += text;
    if (called || (body.match(/w\d+ /g)?.length ?? 0) < words) continue;
    called = true;
    then();
  }
  return body;
}

/** So often one may fail before it is set aside for a while: then the next one is asked first. */
const BEFORE_IT_SHOWS = 2;

Deno.test("T54: A provider that dies at 20 points: another one answers before the first word, and after it the answer ends with an error", async () => {
  assert.equal(CUTS.length, 20);
  assert.equal(answerEvents(MODEL, { words: WORDS }).length, WORDS + 2);
  for (let at = 0; at < CUTS.length; at += BEFORE_IT_SHOWS) {
    await using dying = await HostilePeer.start("dying", { models: [MODEL] });
    await using sound = await HostilePeer.start("sound", { models: [MODEL], loaded: false });
    await using node = await TestNode.start({ name: "A", peers: [dying.address, sound.address] });
    await dying.approveBy(node);
    await sound.approveBy(node);
    for (const cut of CUTS.slice(at, at + BEFORE_IT_SHOWS)) await dieAt(cut, { dying, sound, node });
    const ends = auditOf(node).filter(({ kind }) => kind === "end");
    const starts = auditOf(node).filter(({ kind }) => kind === "start");
    assert.equal(ends.length, starts.length, "Every request that was begun has its end on record");
  }
});

/** One answer of a provider that dies in its course; neither it nor the other one tells tokens to go on from. */
async function dieAt(
  cut: Cut,
  { dying, sound, node }: { dying: HostilePeer; sound: HostilePeer; node: TestNode },
): Promise<void> {
  const where = `cut after ${cut.frames} frames and ${cut.bytes} bytes`;
  await until(async () => {
    const { body } = await node.admin<{ peers: { state: string }[] }>("/peers/status");
    return body.peers.every(({ state }) => state === "ready");
  });
  dying.behaviour = (arrived, { peer }) => cutAt(cut, { whole: peer.honest(arrived), die: () => dying.die() });
  const before = [dying.asked, sound.asked];
  const shown = Math.min(WORDS, Math.max(0, cut.frames - 1));
  const response = await node.chat({ model: MODEL, stream: true, max_tokens: WORDS });
  const body = await readUntil(response, { words: shown, then: () => dying.die() });
  const { text, done, error } = await readStream(new Response(body));
  assert.equal(dying.asked, (before[0] ?? 0) + 1, `${where}: the one that dies is asked first, and once`);
  if (shown === 0) {
    assert.deepEqual({ text, done, error }, { text: WHOLE, done: true, error: null }, where);
    assert.equal(sound.asked, (before[1] ?? 0) + 1, where);
    return;
  }
  // Exactly the words that arrived: none twice, none of another's answer, and no end that is none.
  assert.equal(text, WHOLE.slice(0, text.length), where);
  assert.equal(text.split(" ").length - 1, shown, where);
  assert.ok(!done, where);
  assert.match(error ?? "", /broke off|was lost/, where);
  assert.equal(sound.asked, before[1], where);
}
