/** The streams of offers on the side that tells, without a network: what goes out, when, and what never does. */
import assert from "node:assert/strict";
import { decodeOffer, decodeOfferFrame, FrameSplitter, type Offer, OfferReader } from "@ark/node/protocol";
import { OfferStreams } from "../../src/http/mesh/offer_streams.ts";
import { until } from "../inference/local_fixture.ts";

const MODEL = {
  id: "m",
  digest: null,
  size: 7,
  context_length: 64,
  parameters: null,
  quantization: null,
  loaded: false,
};

function offerOf(models: number, name = "N"): Offer {
  return decodeOffer({
    name,
    ready: true,
    models: Array.from({ length: models }, (_, index) => ({ ...MODEL, id: `m${index}`, family: "x".repeat(60) })),
  });
}

/** Streams over an offer that a test changes. */
class Scene {
  offer: Offer | null = offerOf(2);
  made = 0;
  watching = 0;
  looks = false;
  readonly streams = new OfferStreams({
    stock: () => {
      this.made++;
      return { for: () => this.offer };
    },
    serves: (id) => id === "served",
    watch: () => {
      this.watching++;
      return { looks: this.looks, [Symbol.dispose]: () => void this.watching-- };
    },
  });
}

/** A peer that reads a stream. */
class Listener {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #splitter = new FrameSplitter();
  readonly #offers = new OfferReader();
  readonly seen: Offer[] = [];
  alive = 0;
  updates = 0;
  bytes = 0;
  ended = false;

  constructor(response: Response) {
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    this.#reader = (response.body ?? assert.fail()).getReader();
  }

  async read(): Promise<void> {
    for (let step = await this.#reader.read(); !step.done; step = await this.#reader.read()) {
      this.bytes += step.value.length;
      for (const bytes of this.#splitter.push(step.value)) {
        const frame = decodeOfferFrame(bytes);
        if (frame.type === "alive") this.alive++;
        else {
          this.updates++;
          const offer = this.#offers.take(frame.update);
          if (offer !== null) this.seen.push(offer);
        }
      }
    }
    this.ended = true;
  }

  get last(): Offer | undefined {
    return this.seen.at(-1);
  }

  leave(): Promise<void> {
    return this.#reader.cancel();
  }
}

Deno.test("OfferStreams tell the whole offer first, then what changed, and a burst of changes as one", async () => {
  const scene = new Scene();
  const peer = new Listener(scene.streams.open("a"));
  const reading = peer.read();
  await until(() => peer.seen.length === 1);
  assert.deepEqual(peer.last, scene.offer);
  for (let round = 1; round <= 500; round++) {
    scene.offer = { ...offerOf(2), queued: round };
    scene.streams.changed();
  }
  await until(() => peer.last?.queued === 500);
  assert.equal(peer.seen.length, 2, "500 changes in a moment are told as one");
  assert.equal(scene.made, 2);
  scene.streams.flush();
  scene.offer = { ...offerOf(1), queued: 500 };
  scene.streams.flush();
  await until(() => peer.last?.models.length === 1);
  assert.equal(peer.updates, 3, "What has not changed is not told");
  await peer.leave();
  await reading;
  assert.deepEqual([scene.streams.count, scene.watching], [0, 0]);
});

Deno.test("OfferStreams withdraw a model in the next frame, and end where the peer may ask no more", async () => {
  const scene = new Scene();
  const peer = new Listener(scene.streams.open("a"));
  const reading = peer.read();
  await until(() => peer.seen.length === 1);
  scene.offer = offerOf(0);
  scene.streams.changed();
  await until(() => peer.last?.models.length === 0);
  const { bytes } = peer;
  scene.offer = null;
  scene.streams.changed();
  await reading;
  assert.deepEqual([peer.ended, peer.bytes, scene.streams.count, scene.watching], [true, bytes, 0, 0]);
});

Deno.test("OfferStreams are two of one peer at most: another one ends the oldest", async () => {
  const scene = new Scene();
  const peers = Array.from({ length: 3 }, () => new Listener(scene.streams.open("a")));
  const other = new Listener(scene.streams.open("b"));
  const reading = [...peers, other].map((peer) => peer.read());
  await until(() => peers[0]?.ended === true);
  assert.deepEqual([...peers, other].map(({ ended }) => ended), [true, false, false, false]);
  assert.deepEqual([scene.streams.count, scene.watching], [3, 1]);
  scene.streams.close();
  await Promise.all(reading);
  assert.deepEqual([scene.streams.count, scene.watching], [0, 0]);
});

Deno.test("OfferStreams keep nothing for a peer that does not read, and tell it how things stand when it does", async () => {
  const scene = new Scene();
  scene.offer = offerOf(3_000);
  const peer = new Listener(scene.streams.open("a"));
  for (let round = 0; round < 50; round++) {
    scene.offer = { ...offerOf(3_000, `N${round}`), queued: round };
    scene.streams.flush();
  }
  const reading = peer.read();
  await until(() => peer.last?.queued === 49);
  // What it was told first, and how it is: nothing of what was between.
  assert.ok(peer.seen.length <= 3, `${peer.seen.length}`);
  await peer.leave();
  await reading;
});

Deno.test("OfferStreams give signs of life, more of them to a peer that is being served", async () => {
  const scene = new Scene();
  const [idle, served] = ["idle", "served"].map((id) => new Listener(scene.streams.open(id)));
  assert.ok(idle !== undefined && served !== undefined);
  const reading = Promise.all([idle.read(), served.read()]);
  await until(() => idle.alive >= 2);
  assert.ok(served.alive > idle.alive, `${served.alive} ${idle.alive}`);
  assert.deepEqual([idle.seen.length, served.seen.length], [1, 1]);
  scene.streams.close();
  await reading;
});

Deno.test("OfferStreams look by themselves where nobody tells them of changes", async () => {
  const scene = new Scene();
  scene.looks = true;
  const peer = new Listener(scene.streams.open("a"));
  const reading = peer.read();
  await until(() => peer.seen.length === 1);
  scene.offer = offerOf(1);
  await until(() => peer.last?.models.length === 1);
  await peer.leave();
  await reading;
});
