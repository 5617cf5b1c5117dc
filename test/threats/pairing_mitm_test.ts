import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { generateIdentity, type NodeId } from "@ark/node/identity";
import { decodePairingMessage, decodePairingNonce, type PairingMessage } from "@ark/node/protocol";
import { listenMesh, MeshClient, type MeshListener, type PeerAddress } from "@ark/node/transport";
import { commitmentOf, wordsOf } from "../../src/peers/words.ts";
import { begin, pairingAt, pairingsAt } from "../mesh/meeting.ts";
import { TestNode } from "../mesh/test_node.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";

/** Where a pairing with one victim stands, as the attacker knows it. */
type How = "own" | "grind" | "relay" | "swap";

/**
 * Somebody in between, with a key of his own for each side. Alice believes that she dials Bob, and dials him.
 *
 * | how | what he tries |
 * |---|---|
 * | `own` | Bob's number goes on to Alice, and a number of his own to Bob |
 * | `grind` | first the words on Alice's screen, then thousands of numbers of his own that would lead there |
 * | `relay` | every message goes on as it is |
 * | `swap` | he commits to one number and reveals another, chosen when Bob's was known |
 */
class Mallory implements AsyncDisposable {
  readonly #toAlice = generateIdentity();
  readonly #toBob = generateIdentity();
  readonly #bob: { id: NodeId; addresses: PeerAddress[]; key: Uint8Array };
  readonly #client = new MeshClient({ identity: this.#toBob });
  readonly #how: How;
  #listener: MeshListener | null = null;
  #commitment = "";
  #mine: Uint8Array<ArrayBuffer> = Uint8Array.from(randomBytes(32));
  #answer = "";

  private constructor(bob: { id: NodeId; addresses: PeerAddress[]; key: Uint8Array }, how: How) {
    this.#bob = bob;
    this.#how = how;
  }

  static async between(bob: { id: NodeId; addresses: PeerAddress[]; key: Uint8Array }, how: How): Promise<Mallory> {
    const mallory = new Mallory(bob, how);
    mallory.#listener = await listenMesh({
      identity: mallory.#toAlice,
      hostname: "127.0.0.1",
      port: 0,
      standing: () => "unknown",
      handler: () => Promise.resolve(new Response()),
      introductions: {
        paths: new Set(["/ark/v1/pair"]),
        handler: async (request, caller) =>
          Response.json(await mallory.#hear(decodePairingMessage(await request.json()), caller.publicKey)),
      },
    });
    return mallory;
  }

  get address(): string {
    return `127.0.0.1:${this.#listener?.port}`;
  }

  get keyToBob(): NodeId {
    return this.#toBob.id;
  }

  async #hear(message: PairingMessage, alice: Uint8Array): Promise<unknown> {
    if (message.type === "state") return { state: "waiting" };
    if (message.type === "commit") {
      this.#commitment = message.commitment;
      this.#answer = this.#how === "grind"
        ? randomBytes(32).toString("hex")
        : await this.#commit(this.#how === "relay" ? this.#commitment : this.#commitmentTo(this.#mine));
      return { nonce: this.#answer };
    }
    if (this.#how === "relay") await this.#tellBob({ type: "reveal", session: SESSION, nonce: message.nonce });
    else if (this.#how === "swap") {
      await this.#tellBob({ type: "reveal", session: SESSION, nonce: randomBytes(32).toString("hex") });
    } else {
      if (this.#how === "grind") await this.#commit(this.#commitmentTo(this.#ground(message.nonce, alice)));
      await this.#tellBob({ type: "reveal", session: SESSION, nonce: this.#mine.toHex() });
    }
    return { state: "waiting" };
  }

  /** Alice's words are known now: a number of his own that would lead to them, had Bob the number that is guessed. */
  #ground(nonce: string, alice: Uint8Array): Uint8Array {
    const keys = { begins: alice, answers: this.#toAlice.publicKey };
    const answersNonce = Uint8Array.fromHex(this.#answer);
    const hers = wordsOf({ ...keys, beginsNonce: Uint8Array.fromHex(nonce), answersNonce }).numbers.join();
    for (let attempt = 0; attempt < (LONG ? 5_000 : 1_000); attempt++) {
      this.#mine = Uint8Array.from(randomBytes(32));
      const his = wordsOf({
        begins: this.#toBob.publicKey,
        answers: this.#bob.key,
        beginsNonce: this.#mine,
        answersNonce,
      });
      if (his.numbers.join() === hers) break;
    }
    return this.#mine;
  }

  #commitmentTo(beginsNonce: Uint8Array): string {
    return commitmentOf({ begins: this.#toBob.publicKey, answers: this.#bob.key, beginsNonce });
  }

  async #commit(commitment: string): Promise<string> {
    return decodePairingNonce(await this.#tellBob({ type: "commit", session: SESSION, commitment })).nonce;
  }

  async #tellBob(message: PairingMessage): Promise<unknown> {
    const response = await this.#client.request(this.#bob, {
      method: "POST",
      path: "/ark/v1/pair",
      body: JSON.stringify(message),
      deadlineMs: 60_000,
    });
    return await new Response(response.body).json();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
    await this.#listener?.[Symbol.asyncDispose]();
  }
}

const SESSION = "ab".repeat(16);

for (const how of ["own", "grind", "relay", "swap"] as const) {
  Deno.test(`T43: Somebody in between two nodes who tries '${how}' gets no equal words on their screens`, async () => {
    for (let round = 0; round < (LONG ? 20 : 1); round++) {
      await using bob = await TestNode.start({ name: "Bob" });
      await using alice = await TestNode.start({ name: "Alice" });
      const { id } = bob.daemon;
      const key = Uint8Array.fromBase64(bob.publicKey.slice("ed25519:".length));
      await using mallory = await Mallory.between({ id, addresses: [bob.daemon.mesh], key }, how);
      const hers = await begin(alice, { address: mallory.address });
      assert.equal(hers.words?.length, 4);
      const his = (await pairingsAt(bob))[0];
      if (how === "relay" || how === "swap") {
        assert.equal(his, undefined, "Bob is shown no words by who does not reveal what he committed to");
        continue;
      }
      assert.notDeepEqual(his?.words, hers.words);
      // Two people who read their words to each other say so, and nobody is let in.
      const session = his?.session ?? "";
      assert.equal((await bob.admin(`/peers/pair/${session}/different`, {})).status, 200);
      assert.equal((await alice.admin(`/peers/pair/${hers.session}/different`, {})).status, 200);
      assert.equal((await pairingAt(bob)).phase, "different");
      const { body } = await bob.admin<{ ignored: { node_id: string }[] }>("/peers/pending");
      assert.deepEqual(body.ignored.map(({ node_id }) => node_id.replaceAll("-", "")), [mallory.keyToBob]);
      assert.deepEqual([...alice.daemon.book.list(), ...bob.daemon.book.list()], []);
    }
  });
}

Deno.test("T43: One who says match for the other side, early and always, gets nothing without this side's owner", async () => {
  await using bob = await TestNode.start({ name: "Bob" });
  const mallory = generateIdentity();
  await using client = new MeshClient({ identity: mallory });
  const beginsNonce = Uint8Array.from(randomBytes(32));
  const key = Uint8Array.fromBase64(bob.publicKey.slice("ed25519:".length));
  const commitment = commitmentOf({ begins: mallory.publicKey, answers: key, beginsNonce });
  const say = async (message: PairingMessage) => {
    const response = await client.request({ id: bob.daemon.id, addresses: [bob.daemon.mesh] }, {
      method: "POST",
      path: "/ark/v1/pair",
      body: JSON.stringify(message),
      deadlineMs: 60_000,
    });
    return { status: response.status, body: await new Response(response.body).json() };
  };
  assert.equal((await say({ type: "commit", session: SESSION, commitment })).status, 200);
  for (const state of ["matched", "approved"] as const) {
    assert.deepEqual((await say({ type: "state", session: SESSION, state })).body, { state: "waiting" });
  }
  assert.deepEqual(await pairingsAt(bob), [], "Nothing is shown before the words are known");
  await say({ type: "reveal", session: SESSION, nonce: beginsNonce.toHex() });
  const { words } = await pairingAt(bob);
  for (const state of ["matched", "approved", "waiting", "approved"] as const) {
    assert.deepEqual((await say({ type: "state", session: SESSION, state, name: "Dave's Ark" })).body, {
      state: "waiting",
    });
  }
  // A second try of the same key, before the owner has answered the first, is refused.
  const second = await say({ type: "commit", session: "cd".repeat(16), commitment: "11".repeat(32) });
  assert.equal(second.status, 429);
  const seen = await pairingAt(bob);
  assert.deepEqual([seen.words, seen.mine, seen.name, seen.phase], [words, "waiting", null, "comparing"]);
  assert.equal(bob.daemon.book.standing(mallory.id), "unknown");
});
