import assert from "node:assert/strict";
import { Authenticator } from "../../src/transport/authenticator.ts";
import { contentDigest } from "../../src/transport/message_signature.ts";
import type { ReplayWindow } from "../../src/transport/replay_window.ts";
import {
  FakeClock,
  freshNonce,
  identityOfSeed,
  parsed,
  type RawRequest,
  requestText,
  signed,
  statusOf,
  TestMesh,
} from "./mesh_fixture.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";
const REQUESTS = LONG ? 50 : 2;

const alice = identityOfSeed(1);
const bob = identityOfSeed(2);

/** Every text that differs from this one by a bit, as its bytes stand for characters. */
function* flips(text: string): Generator<string> {
  for (let at = 0; at < text.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      yield text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << bit)) + text.slice(at + 1);
    }
  }
}

/** Requests that differ from this one by a bit of its method, target, names and values of fields, or body. */
function* spoilt(request: RawRequest): Generator<RawRequest> {
  for (const method of flips(request.method)) yield { ...request, method };
  for (const target of flips(request.target)) yield { ...request, target };
  for (const [index, [name, value]] of request.fields.entries()) {
    for (const other of flips(name)) {
      // The case of a name means nothing in HTTP.
      if (other.toLowerCase() === name.toLowerCase()) continue;
      yield { ...request, fields: request.fields.with(index, [other, value]) };
    }
    for (const other of flips(value)) yield { ...request, fields: request.fields.with(index, [name, other]) };
  }
  for (const body of flips(request.body)) yield { ...request, body };
}

Deno.test("T05: A request with any one bit changed is refused", () => {
  const clock = new FakeClock();
  // It is the signature that refuses, and not that the nonce was used.
  const replays = { judge: () => "fresh", issue: () => "" } as unknown as ReplayWindow;
  const judge = (request: RawRequest): boolean => {
    const authenticator = new Authenticator({
      identity: bob,
      standing: (id) => id === alice.id ? "approved" : "unknown",
      replays,
      bodyBytes: 1 << 20,
    });
    const verdict = authenticator.check(parsed(request));
    if (verdict.outcome !== "accepted") return false;
    const { contentLength, contentDigest: stated } = verdict.head;
    const bytes = Uint8Array.from(request.body, (character) => character.charCodeAt(0));
    return bytes.length === contentLength && contentDigest(bytes) === stated;
  };
  let count = 0;
  for (let round = 0; round < REQUESTS; round++) {
    const serverNonce = round % 2 === 0 ? "" : `${"A".repeat(27)}.`;
    const request = signed(alice, {
      to: bob.id,
      target: `/ark/v1/infer?round=${round}`,
      body: round % 3 === 2 ? "" : JSON.stringify({ model: "tiny:1b", input: round }),
      created: clock.created,
      nonce: serverNonce + freshNonce(),
      deadlineMs: 1_000 + round,
    });
    assert.ok(judge(request));
    for (const other of spoilt(request)) {
      assert.ok(!judge(other), JSON.stringify(other));
      count++;
    }
  }
  assert.ok(count > REQUESTS * 4_500, String(count));
});

Deno.test("T05: A request with any one bit changed on the wire, also between its parts, is refused", async () => {
  await using mesh = await TestMesh.start({ limits: { lingerMs: 50, headersMs: 300, requestMs: 300, checkMs: 20 } });
  const request = mesh.request({ body: "{}", target: "/ark/v1/infer?x=1" });
  const text = requestText(request);
  const places = [...text].flatMap((character, at) => {
    const between = /[\r\n: ]/.test(character) || at < 32 || at >= text.length - 2;
    return between || LONG ? [at] : [];
  });
  const cases = places.flatMap((at) =>
    Array.from({ length: 8 }, (_, bit) => {
      const other = text.charCodeAt(at) ^ (1 << bit);
      return { at, text: text.slice(0, at) + String.fromCharCode(other) + text.slice(at + 1) };
    })
  ).filter(({ text: other, at }) =>
    // Bytes above 0x7f are sent as two by the fixture; the case of a field's name means nothing.
    other.charCodeAt(at) < 0x80 && !(other.toLowerCase() === text.toLowerCase() && isInName(text, at))
  );
  assert.ok(cases.length > 500, String(cases.length));
  for (let at = 0; at < cases.length; at += 32) {
    await Promise.all(
      cases.slice(at, at + 32).map(async ({ text: other }) => {
        const answer = await mesh.exchange(other);
        assert.ok(answer === "" || statusOf(answer) >= 400, `${JSON.stringify(other)}: ${answer}`);
      }),
    );
  }
  // A body that is not the one that was signed is the handler's to read: it gets an error, and the caller the refusal.
  const bodies = mesh.handled.length;
  assert.ok(bodies <= 2 * 8, String(bodies));
});

function isInName(text: string, at: number): boolean {
  const start = text.lastIndexOf("\r\n", at) + 2;
  return start > 1 && text.slice(start, at + 1).match(/^[A-Za-z-]+$/) !== null;
}
