import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { generateIdentity, type Identity, type NodeId } from "@ark/node/identity";
import { IgnoredNodes, isOpen, Pairings, type PairingsOptions } from "@ark/node/peers";
import { ArkError, decodePairingMessage, type PairingMessage } from "@ark/node/protocol";
import { openStore } from "@ark/node/store";
import type { MeshCall, MeshPeer, MeshResponse } from "@ark/node/transport";
import { commitmentOf } from "../../src/peers/words.ts";

const QUIET = { info: () => {}, warn: () => {} };

/** A network of pairings without sockets: what one says, another hears, unless it is lost. */
class Wire {
  readonly nodes = new Map<NodeId, Pairings>();
  lost: (message: PairingMessage) => boolean = () => false;

  async request(from: NodeId, to: MeshPeer, call: MeshCall): Promise<MeshResponse> {
    await pause(0);
    const message = decodePairingMessage(JSON.parse(String(call.body)));
    const node = this.nodes.get(to.id);
    if (node === undefined || this.lost(message)) throw new ArkError("unavailable", "The message was lost");
    let [status, answer]: [number, unknown] = [200, null];
    try {
      answer = node.hear(message, { id: from, source: "10.0.0.1", address: null });
    } catch (error) {
      assert.ok(error instanceof ArkError);
      [status, answer] = [429, { error: { code: `ark_${error.code}` } }];
    }
    const body = new Response(JSON.stringify(answer)).body ?? new ReadableStream();
    return { status, headers: new Headers(), body, signature: "", address: { hostname: "x", port: 1 } };
  }
}

interface Node {
  identity: Identity;
  pairings: Pairings;
  ended: string[];
}

function node(wire: Wire, ignored: PairingsOptions["ignored"], options: Partial<PairingsOptions> = {}): Node {
  const identity = generateIdentity();
  const ended: string[] = [];
  const pairings = new Pairings({
    identity,
    name: "N",
    client: { request: (to, call) => wire.request(identity.id, to, call) },
    probe: () => Promise.reject(new ArkError("unavailable", "No probe here")),
    addresses: () => [{ hostname: "10.0.0.1", port: 8911 }],
    ownPort: () => 8911,
    ignored,
    logger: QUIET,
    ended: ({ phase }) => ended.push(phase),
    times: { pollMs: 1 },
    // Twenty times as fast, so that waiting for what was lost takes no time.
    now: () => performance.now() * 20,
    ...options,
  });
  wire.nodes.set(identity.id, pairings);
  return { identity, pairings, ended };
}

Deno.test("Pairings of two nodes show the same words and let nobody in alone, whatever the owners do and the network loses", async () => {
  const step = fc.record({
    who: fc.constantFrom(0, 1),
    what: fc.constantFrom("begin", "match", "match", "approve", "approve", "different", "cancel", "wait", "lose"),
  });
  // Parts of how it goes between friends, before anything goes.
  const friendly = fc.subarray(
    (["begin", "match", "match", "wait", "approve", "approve", "wait"] as const).map((what, at) => ({
      who: at % 2,
      what,
    })),
    { minLength: 5 },
  );
  const steps = fc.tuple(friendly, fc.array(step, { maxLength: 10 })).map(([first, then]) => [...first, ...then]);
  let connected = 0;
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(100), async (steps, loss) => {
      const wire = new Wire();
      const both = [0, 1].map(() => node(wire, FORGIVING));
      const matched = new Set<string>();
      const approvals: number[] = [];
      let turn = 0;
      try {
        for (const { who, what } of steps) {
          const here = both[who];
          const there = both[1 - who];
          assert.ok(here !== undefined && there !== undefined);
          const [view] = here.pairings.list();
          if (what === "begin") await here.pairings.begin({ id: there.identity.id }).catch(expected);
          else if (what === "lose") wire.lost = () => ++turn % 3 === loss % 3;
          else if (what === "wait") await pause(4);
          else if (view !== undefined && what === "approve") {
            await here.pairings.approve(view.session, (now) => {
              assert.ok(matched.has(`${who} ${now.words?.words.join()}`), "His own owner compared these words");
              assert.ok(matched.has(`${1 - who} ${now.words?.words.join()}`), "The other one, too");
              approvals.push(who);
              return Promise.resolve();
            }).catch(expected);
          } else if (view !== undefined && what !== "approve") {
            if (what === "match" && view.words !== null) matched.add(`${who} ${view.words.words.join()}`);
            await here.pairings.decide(view.session, what).catch(expected);
          }
          const shown = both.map(({ pairings }) => pairings.list().find(({ phase, words }) => isOpen(phase) && words));
          if (shown[0] !== undefined && shown[1] !== undefined) {
            assert.deepEqual(shown[0].words?.numbers, shown[1].words?.numbers);
          }
          for (const [side, { pairings }] of both.entries()) {
            assert.ok(pairings.list().filter(({ phase }) => isOpen(phase)).length <= 1);
            for (const { phase } of pairings.list()) {
              if (phase !== "connected") continue;
              assert.ok(approvals.includes(side) && approvals.includes(1 - side));
              connected++;
            }
          }
        }
      } finally {
        for (const { pairings } of both) await pairings[Symbol.asyncDispose]();
      }
    }),
    { numRuns: 60 },
  );
  assert.ok(connected > 0, "Some did pair");
});

function expected(error: unknown): void {
  assert.ok(error instanceof ArkError, String(error));
}

/** For owners who change their minds all the time: nobody is ever ignored. */
const FORGIVING: PairingsOptions["ignored"] = {
  get: () => undefined,
  add: (id, why) => Promise.resolve({ id, why, since: "", until: null }),
};

Deno.test("Pairings take five commitments of a key in five minutes, ten of a host and sixty in all", async () => {
  await using store = await openStore(":memory:");
  let now = 0;
  await using one = node(new Wire(), await IgnoredNodes.open(store), { now: () => now }).pairings;
  let sessions = 0;
  const commits = (id: NodeId, source: string): boolean => {
    const session = (++sessions).toString(16).padStart(32, "0");
    try {
      one.hear({ type: "commit", session, commitment: "00".repeat(32) }, { id, source, address: null });
    } catch (error) {
      assert.equal((error as ArkError).code, "busy");
      return false;
    }
    // Nobody reveals: after ten seconds the place is free again.
    now += 10_000;
    one.tick();
    return true;
  };
  const key = generateIdentity().id;
  const same = Array.from({ length: 7 }, (_, at) => commits(key, `10.0.0.${at}`));
  assert.deepEqual(same, [true, true, true, true, true, false, false]);
  const host = Array.from({ length: 12 }, () => commits(generateIdentity().id, "10.9.9.9"));
  assert.equal(host.filter(Boolean).length, 10);
  now += 300_000;
  assert.ok(commits(key, "10.0.0.1") && commits(generateIdentity().id, "10.9.9.9"));
});

Deno.test("Pairings keep at most eight open that others began, and show none whose number was not revealed", async () => {
  await using store = await openStore(":memory:");
  await using own = node(new Wire(), await IgnoredNodes.open(store)).pairings;
  const answers = Array.from({ length: 40 }, (_, at) => {
    try {
      const session = at.toString(16).padStart(32, "0");
      const caller = { id: generateIdentity().id, source: `10.0.0.${at}`, address: null };
      return "nonce" in own.hear({ type: "commit", session, commitment: "00".repeat(32) }, caller);
    } catch {
      return false;
    }
  });
  assert.equal(answers.filter(Boolean).length, 8);
  assert.deepEqual(own.list(), []);
});

Deno.test("Pairings answer a commitment once more when its answer was lost, and a changed one not at all", async () => {
  await using store = await openStore(":memory:");
  const { pairings, identity } = node(new Wire(), await IgnoredNodes.open(store));
  await using _own = pairings;
  const other = generateIdentity();
  const beginsNonce = crypto.getRandomValues(new Uint8Array(32));
  const keys = { begins: other.publicKey, answers: identity.publicKey };
  const session = "ab".repeat(16);
  const caller = { id: other.id, source: "10.0.0.1", address: null };
  const commit = { type: "commit", session, commitment: commitmentOf({ ...keys, beginsNonce }) } as const;
  assert.deepEqual(pairings.hear(commit, caller), pairings.hear(commit, caller));
  assert.throws(() => pairings.hear({ ...commit, commitment: "00".repeat(32) }, caller), { code: "busy" });
  assert.throws(() => pairings.hear({ ...commit, session: "cd".repeat(16) }, caller), { code: "busy" });
  // Another key that knows the session's name has no part in it.
  const thief = { ...caller, id: generateIdentity().id };
  assert.deepEqual(pairings.hear({ type: "reveal", session, nonce: beginsNonce.toHex() }, thief), {
    state: "cancelled",
  });
  assert.deepEqual(pairings.hear({ type: "reveal", session, nonce: beginsNonce.toHex() }, caller), {
    state: "waiting",
  });
  assert.equal(pairings.list().length, 1);
  assert.throws(() => pairings.hear(commit, caller), { code: "busy" }, "The words are shown: nothing begins anew");
});
