import assert from "node:assert/strict";
import { AuditLog } from "@ark/node/audit";
import { openStore } from "@ark/node/store";
import { fill } from "../../audit/log_fixture.ts";
import { mutateBytes } from "../mutate.ts";
import type { Random } from "../random.ts";
import { hashOf, sealed } from "./audit_chain.ts";
import { type FuzzTarget, showBytes, shrinkBytes } from "../target.ts";

const COUNT = 12;
const ENCODER = new TextEncoder();

/** A real log on a disk, whose file is replaced by each input. */
interface Log {
  audit: AuditLog;
  path: string;
  whole: Uint8Array;
  lines: string[];
}

let log: Log | null = null;

function opened(): Log {
  assert.ok(log !== null, "The log is not open");
  return log;
}

async function open(): Promise<AsyncDisposable> {
  await using made = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ prefix: "ark-fuzz-" });
  made.defer(() => Deno.remove(directory, { recursive: true }));
  const path = `${directory}/audit.log`;
  {
    // Closed and opened again, so that both copies are whole.
    await using store = await openStore(`${directory}/node.db`);
    await using audit = await AuditLog.open({ store, mirror: path });
    await fill(audit, COUNT);
  }
  const store = made.use(await openStore(`${directory}/node.db`));
  const audit = made.use(await AuditLog.open({ store, mirror: path }));
  const whole = await Deno.readFile(path);
  const lines = new TextDecoder().decode(whole).split("\n").slice(0, -1);
  log = { audit, path, whole, lines };
  auditVerifier.corpus = [whole];
  made.defer(() => Deno.writeFile(path, whole));
  return made.move();
}

/** `audit.log` as a whole, beside a database that is right. */
export const auditVerifier: FuzzTarget<Uint8Array> = {
  name: "audit_verifier",
  promise: "A file passes only with every byte of every entry, and what is wrong is named by its number.",
  corpus: [],
  covers: ["/src/audit/"],
  cost: 10,
  open,
  mutate: (random, bytes, other) => random.once(2) ? mutateBytes(random, bytes, other) : rewritten(random),
  async check(bytes) {
    const { audit, path, whole } = opened();
    Deno.writeFileSync(path, bytes);
    const verdict = await audit.verify();
    if (verdict.ok) {
      assert.ok(whole.every((byte, index) => bytes[index] === byte), "Something is wrong, and nobody saw it");
    } else {
      assert.equal(verdict.seq, commonLines(bytes) + 1, "The first bad entry is another one");
      assert.ok(verdict.where === "file" || verdict.where === "both");
    }
    return verdict.ok;
  },
  show: showBytes,
  shrink: shrinkBytes,
};

/** The file as somebody leaves it who knows how the chain is made: lines moved, left out, doubled or made anew. */
function rewritten(random: Random): Uint8Array {
  const { lines: right } = opened();
  const lines = [...right];
  const [at, to] = [random.below(COUNT), random.below(COUNT)];
  const change = random.below(5);
  if (change === 0) lines.splice(at, 1 + random.below(3));
  else if (change === 1) lines.splice(to, 0, right[at] ?? "");
  else if (change === 2) [lines[at], lines[to]] = [right[to] ?? "", right[at] ?? ""];
  else {
    // With hashes that are right: only the other copy knows better.
    lines[at] = sealed({ ...JSON.parse(right[at] ?? ""), completion_tokens: random.below(9) });
    for (let next = at + 1; change === 4 && next < COUNT; next++) {
      lines[next] = sealed({ ...JSON.parse(right[next] ?? ""), prev: hashOf(lines[next - 1] ?? "") });
    }
  }
  return ENCODER.encode(lines.map((line) => `${line}\n`).join(""));
}

/** How many whole lines at the beginning are as they were. */
function commonLines(bytes: Uint8Array): number {
  let lines = 0;
  for (const [index, byte] of opened().whole.entries()) {
    if (bytes[index] !== byte) return lines;
    if (byte === 10) lines++;
  }
  return lines;
}
