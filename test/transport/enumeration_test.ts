import assert from "node:assert/strict";
import { generateIdentity } from "@ark/node/identity";
import { Authenticator } from "../../src/transport/authenticator.ts";
import { ReplayWindow } from "../../src/transport/replay_window.ts";
import { parsed, type RawRequest, requestText, TestMesh, withFields } from "./mesh_fixture.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";
const PROBES = LONG ? 10_000 : 60;

/** A request in the name of a key whose signature is somebody else's. */
function inNameOf(id: string, forged: RawRequest): RawRequest {
  const input = forged.fields.find(([name]) => name === "Signature-Input")?.[1] ?? "";
  return withFields(forged, { "Signature-Input": input.replace(/keyid="[^"]+"/, `keyid="${id}"`) });
}

Deno.test("T62: Whoever cannot sign for a key learns nothing about how it stands: the answers are the same bytes", async () => {
  await using mesh = await TestMesh.start({
    limits: { burstPerSource: 1_000_000, handshakeMs: 60_000 },
    introductions: { paths: new Set(["/ark/v1/pair"]), handler: () => Promise.resolve(new Response()) },
  });
  const mallory = generateIdentity();
  const ids = [mesh.alice.id, mesh.rita.id, generateIdentity().id, mesh.bob.id, "a".repeat(56)];
  const answers = new Set<string>();
  let count = 0;
  while (count < PROBES) {
    const batch = ids.flatMap((id) =>
      ["/ark/v1/offer", "/ark/v1/pair", "/nothing"].map((target) =>
        inNameOf(id, mesh.request({ target, body: count % 2 === 0 ? "" : "x" }, mallory))
      )
    );
    for (const answer of await Promise.all(batch.map((request) => mesh.exchange(requestText(request))))) {
      answers.add(answer);
    }
    count += batch.length;
  }
  assert.equal(answers.size, 1, [...answers].join("\n---\n"));
  assert.match([...answers][0] ?? "", /^HTTP\/1\.1 401 .*"ark_unauthorized"/s);
  assert.deepEqual(mesh.handled, []);
});

Deno.test("T62: A forged signature takes as long to refuse for an approved key as for an unknown one", async () => {
  if (!LONG) {
    // deno-lint-ignore no-console
    console.log("Skipped: the times of 10,000 probes are compared with ARK_LONG=1 only");
    return;
  }
  await using mesh = await TestMesh.start();
  const mallory = generateIdentity();
  const replays = new ReplayWindow({ clock: mesh.clock, noncesPerPeer: 10 });
  const authenticator = new Authenticator({
    identity: mesh.bob,
    standing: (id) => id === mesh.alice.id ? "approved" : "unknown",
    replays,
    bodyBytes: 1 << 20,
  });
  mesh.clock.pass(121);
  // The approved peer is one that asks all day.
  assert.equal(authenticator.check(parsed(mesh.request())).outcome, "accepted");
  const times: Record<"approved" | "unknown", number[]> = { approved: [], unknown: [] };
  for (let probe = 0; probe < 2 * PROBES; probe++) {
    // In turn, and each first as often as the other, so that a busy machine slows both.
    const whose = ["approved", "unknown"] as const;
    for (const who of probe % 2 === 0 ? whose : whose.toReversed()) {
      // Made for both, so that both come with the same caches.
      const other = generateIdentity();
      const id = who === "approved" ? mesh.alice.id : other.id;
      const raw = parsed(inNameOf(id, mesh.request({ body: "x" }, mallory)));
      const began = performance.now();
      const { outcome } = authenticator.check(raw);
      const took = performance.now() - began;
      assert.equal(outcome, "refused");
      if (probe >= PROBES) times[who].push(took);
    }
  }
  const [approved, unknown] = [times.approved, times.unknown].map(medians);
  assert.ok(pOfWelch(approved ?? [], unknown ?? []) > 0.01, `${mean(approved ?? [])} ms, ${mean(unknown ?? [])} ms`);
});

/** Medians of groups of 100: what disturbs single samples is left out. */
function medians(values: readonly number[]): number[] {
  return Array.from({ length: Math.floor(values.length / 100) }, (_, group) => {
    const sorted = values.slice(group * 100, group * 100 + 100).toSorted((a, b) => a - b);
    return ((sorted[49] ?? 0) + (sorted[50] ?? 0)) / 2;
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function variance(values: readonly number[]): number {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
}

/** p of Welch's t-test; with a hundred groups on each side the normal distribution will do. */
function pOfWelch(a: readonly number[], b: readonly number[]): number {
  const t = Math.abs(mean(a) - mean(b)) / Math.sqrt(variance(a) / a.length + variance(b) / b.length);
  // Abramowitz and Stegun 26.2.17.
  const k = 1 / (1 + 0.2316419 * t);
  const tail = Math.exp(-t * t / 2) / Math.sqrt(2 * Math.PI) *
    k * (0.319381530 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))));
  return 2 * tail;
}
