import assert from "node:assert/strict";
import { verify } from "@ark/node/identity";
import { baseBytes } from "../../../src/transport/message_signature.ts";
import { parseSignedHead } from "../../../src/transport/signed_request.ts";
import { identityOfSeed, parsed, signed } from "../../transport/mesh_fixture.ts";
import { mutateText } from "../mutate.ts";
import type { Random } from "../random.ts";
import type { FuzzTarget } from "../target.ts";

/** The head of a request as the HTTP parser hands it on. */
export interface Head {
  method: string;
  target: string;
  rawHeaders: string[];
}

export const alice = identityOfSeed(1);
const bob = identityOfSeed(2);
const NONCE = "AAAAAAAAAAAAAAAAAAAAAA";

/** Requests of Alice's to Bob: with and without body, query and nonce of the receiver's. */
export const HEADS: Head[] = [
  {},
  { target: "/ark/v1/offer?port=8911" },
  { target: "/ark/v1/infer", body: '{"model":"x"}' },
  { nonce: `${"B".repeat(26)}A.${NONCE}`, body: "0".repeat(300), deadlineMs: 999_999_999 },
].map((options) => parsed(signed(alice, { to: bob.id, created: 1_790_000_000, nonce: NONCE, ...options })));

/** What Alice has signed; nothing else may ever verify as hers. */
const SIGNED = new Set(
  HEADS.map((head) => {
    const read = parseSignedHead(head);
    assert.ok(read !== null);
    return read.base;
  }),
);

const NAMES = [
  "Host",
  "Signature",
  "Signature-Input",
  "Content-Length",
  "Transfer-Encoding",
  "Content-Encoding",
  "Expect",
  "Ark-To",
  "Trailer",
  "Upgrade",
  "X-Other",
  "SIGNATURE",
  "signature-input",
];

function mutate(random: Random, { method, target, rawHeaders }: Head, other: Head): Head {
  const fields = [...rawHeaders];
  const at = random.below(fields.length / 2) * 2;
  switch (random.below(9)) {
    case 0:
      return { method: random.pick(["GET", "POST", "get", "PUT", "POST ", "", "HEAD", "GEt"]), target, rawHeaders };
    case 1:
    case 2:
      return { method, target: mutateText(random, target, other.target), rawHeaders };
    case 3:
      fields.splice(at, 2);
      break;
    case 4:
      fields.push(
        random.once(2) ? random.pick(NAMES) : fields[at] ?? "",
        random.once(2) ? "chunked" : fields[at + 1] ?? "",
      );
      break;
    case 5:
      fields[at] = mutateText(random, fields[at] ?? "");
      break;
    default:
      fields[at + 1] = mutateText(random, fields[at + 1] ?? "", other.rawHeaders[at + 1] ?? "");
  }
  return { method, target, rawHeaders: fields };
}

function check(head: Head): boolean {
  const read = parseSignedHead(head);
  if (read === null) return false;
  const field = (name: string): string => {
    const found = head.rawHeaders.flatMap((text, index) =>
      index % 2 === 0 && text.toLowerCase() === name ? [index] : []
    );
    assert.equal(found.length, 1, `${name} occurs once`);
    return head.rawHeaders[(found[0] ?? 0) + 1] ?? "";
  };
  // Written anew, what was read is what was there.
  assert.equal(
    field("signature-input"),
    'ark=("@method" "@authority" "@path" "@query" "content-type" "content-length" "content-digest" "ark-to" ' +
      `"ark-deadline");created=${read.created};expires=${read.created + 60};nonce="${read.nonce}";` +
      `keyid="${read.keyId}";alg="ed25519";tag="ark-peer/1"`,
  );
  assert.equal(field("signature"), `ark=:${read.signature.toBase64()}:`);
  assert.equal(field("content-length"), String(read.contentLength));
  assert.equal(field("ark-deadline"), String(read.deadlineMs));
  assert.equal(field("host"), "node.ark.invalid");
  assert.deepEqual([field("ark-to"), field("content-type")], [read.to, read.contentType]);
  const url = new URL(`https://node.ark.invalid${read.target}`);
  assert.equal(url.pathname + url.search, head.target);
  const refused = /^(transfer-encoding|content-encoding|expect|upgrade|trailer)$/i;
  assert.ok(
    !head.rawHeaders.some((name, index) => index % 2 === 0 && refused.test(name)),
    "A field changes the meaning",
  );
  if (read.keyId === alice.id && verify(alice.publicKey, baseBytes(read.base), read.signature)) {
    assert.ok(SIGNED.has(read.base), "Alice never signed this");
  }
  return true;
}

/** The head of a signed request. */
export const signature: FuzzTarget<Head> = {
  name: "signature",
  promise: "What is read was written in the one canonical way, and verifies only where it was signed.",
  corpus: HEADS,
  covers: ["/src/transport/signed_request.ts", "/src/transport/message_signature.ts"],
  mutate,
  check,
  show: (head) => JSON.stringify(head),
  *shrink({ method, target, rawHeaders }) {
    for (let at = 0; at < rawHeaders.length; at += 2) yield { method, target, rawHeaders: rawHeaders.toSpliced(at, 2) };
  },
};
