import assert from "node:assert/strict";
import { type UntrustedSignatureCandidate, verifySignature } from "http-message-sig";
import { parseSignedHead } from "../../../src/transport/signed_request.ts";
import { mutateText } from "../mutate.ts";
import type { FuzzTarget } from "../target.ts";
import { type Head, HEADS } from "./signature.ts";

const PIECES = [
  ";",
  "=",
  '"',
  "ark=",
  'sig=("@method")',
  ', ark=("@path")',
  ";req",
  ";key=",
  ";alg=?1",
  ";created=1.0",
  ";created=-1",
  ":AAAA:",
  "()",
  " ",
  "\t",
  ";tag=ark-peer/1",
  ";nonce=*x",
];

/** Reads the fields as another implementation of RFC 8941 and RFC 9421 does. */
async function theirs({ method, target, rawHeaders }: Head, now: number): Promise<UntrustedSignatureCandidate | null> {
  let seen: UntrustedSignatureCandidate | null = null;
  const fields = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [{ name, value: rawHeaders[index + 1] ?? "" }] : []
  );
  const targetUri = `https://node.ark.invalid${target}`;
  await verifySignature({ kind: "request", method, targetUri, fields }, {
    policy: { algorithms: ["ed25519"], requiredComponents: [], requiredParameters: [], now },
    resolveVerifier(candidate) {
      seen = candidate;
      return { algorithm: "ed25519", verify: () => true };
    },
  }).catch(() => {});
  return seen;
}

/** `Signature-Input` and `Signature` as structured fields. */
export const structuredFields: FuzzTarget<Head> = {
  name: "structured_fields",
  promise: "What is read, another implementation reads in the same way.",
  corpus: HEADS,
  covers: ["/src/transport/signed_request.ts", "/src/transport/message_signature.ts"],
  mutate(random, { method, target, rawHeaders }, other) {
    const fields = [...rawHeaders];
    const at = fields.indexOf(random.once(3) ? "Signature" : "Signature-Input") + 1;
    const value = fields[at] ?? "";
    const place = random.below(value.length);
    fields[at] = random.once(3)
      ? value.slice(0, place) + random.pick(PIECES) + value.slice(place + random.below(3))
      : mutateText(random, value, other.rawHeaders[at]);
    return { method, target, rawHeaders: fields };
  },
  async check(head) {
    const ours = parseSignedHead(head);
    if (ours === null) return false;
    const other = await theirs(head, ours.created);
    assert.ok(other !== null, "The other implementation reads nothing");
    assert.equal(other.label, "ark");
    const { created, expires, nonce, keyid, alg, tag } = other.parameters;
    assert.deepEqual([created, expires, nonce, keyid, alg, tag], [
      ours.created,
      ours.created + 60,
      ours.nonce,
      ours.keyId,
      "ed25519",
      "ark-peer/1",
    ]);
    assert.deepEqual(Uint8Array.from(other.signature), ours.signature);
    assert.equal(other.components.length, 9);
    return true;
  },
  show: (head) => JSON.stringify(head),
};
