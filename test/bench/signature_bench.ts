/**
 * What a signed request costs beside its cryptography: sign and verify a request of 1 KiB as both ends do, with bare
 * Ed25519 and SHA-256 of the same bytes, in the same process and in turn, as the baseline.
 */
import { createHash, generateKeyPairSync, sign, verify } from "node:crypto";
import { generateIdentity } from "@ark/node/identity";
import { Authenticator } from "../../src/transport/authenticator.ts";
import { SYSTEM_CLOCK } from "../../src/transport/clock.ts";
import { contentDigest } from "../../src/transport/message_signature.ts";
import { PeerClock } from "../../src/transport/peer_clock.ts";
import { ReplayWindow } from "../../src/transport/replay_window.ts";
import { signRequest } from "../../src/transport/signed_request.ts";
import { TLS_NAME } from "../../src/transport/certificate.ts";
import { heading, result, row, Samples } from "./samples.ts";

const ROUNDS = 4_000;
const WARM_UP = 1_000;
const GOAL_MS = 0.15;
/** Bytes that a signature of this profile covers, about. */
const BASE_BYTES = 620;

/** Measures and prints. */
export function signatureBench(): Promise<void> {
  const [alice, bob] = [generateIdentity(), generateIdentity()];
  const body = new Uint8Array(1_024).fill(97);
  const bare = generateKeyPairSync("ed25519");
  const base = new Uint8Array(BASE_BYTES).fill(98);
  const [baseline, signed, verified, both] = [new Samples(), new Samples(), new Samples(), new Samples()];
  const authenticator = new Authenticator({
    identity: bob,
    standing: () => "approved",
    // Without its first two minutes, as on a node that has run for a while.
    replays: new ReplayWindow({
      clock: { ...SYSTEM_CLOCK, monotonicMs: aged() },
      noncesPerPeer: 2 * (ROUNDS + WARM_UP),
    }),
    bodyBytes: 1 << 20,
  });
  const clock = new PeerClock(SYSTEM_CLOCK);
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    let began = performance.now();
    createHash("sha256").update(body).digest();
    const signature = sign(null, base, bare.privateKey);
    createHash("sha256").update(body).digest();
    if (!verify(null, base, bare.publicKey, signature)) throw new Error("The signature is not valid");
    const bareMs = performance.now() - began;

    began = performance.now();
    const raw = request();
    const signedMs = performance.now() - began;
    began = performance.now();
    const verdict = authenticator.check(raw);
    const valid = verdict.outcome === "accepted" && contentDigest(body) === verdict.head.contentDigest;
    const verifiedMs = performance.now() - began;
    if (!valid) throw new Error(`The request was not accepted: ${verdict.outcome}`);
    if (round < 0) continue;
    baseline.add(bareMs);
    signed.add(signedMs);
    verified.add(verifiedMs);
    both.add(signedMs + verifiedMs);
  }
  heading(`6. Signature of a request with a body of 1 KiB, ${ROUNDS} rounds`);
  row("baseline: bare Ed25519 and SHA-256, both ends", baseline);
  row("sign, as the client does", signed);
  row("verify, with grammar, standing and replay", verified);
  row("sign and verify together", both);
  result("together", `${both.median.toFixed(3)} ms`, `${GOAL_MS} ms on the machine of the design`);
  result("added to the baseline", `${((both.median - baseline.median) * 1_000).toFixed(1)} µs`);
  result("ratio to the baseline", (both.median / baseline.median).toFixed(2));
  return Promise.resolve();

  function request(): { method: string; target: string; rawHeaders: string[] } {
    const digest = contentDigest(body);
    const head = {
      method: "POST",
      target: "/ark/v1/infer",
      contentType: "application/json",
      contentLength: body.length,
      contentDigest: digest,
      to: bob.id,
      deadlineMs: 120_000,
      ...clock.stamp(),
    };
    const { signatureInput, signatureField } = signRequest(alice, head);
    // deno-fmt-ignore
    const rawHeaders = [
      "Host", TLS_NAME, "Accept-Encoding", "identity", "Ark-To", head.to, "Ark-Deadline", "120000",
      "Content-Type", head.contentType, "Content-Length", "1024", "Content-Digest", digest,
      "Signature-Input", signatureInput, "Signature", signatureField,
    ];
    return { method: head.method, target: head.target, rawHeaders };
  }
}

/** A monotonic clock that has run for an hour after it was first asked. */
function aged(): () => number {
  let first = true;
  return () => {
    if (!first) return performance.now() + 3_600_000;
    first = false;
    return performance.now();
  };
}
