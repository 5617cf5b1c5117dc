import { Hono } from "hono";
import { stream } from "hono/streaming";
import {
  type AuditEntry,
  type AuditLog,
  type PruneRange,
  type WitnessBook,
  witnessedVerdict,
  type Witnesses,
} from "@ark/node/audit";
import { ArkError } from "@ark/node/protocol";
import { readJson } from "../api/request_json.ts";

const BODY_BYTES = 1 << 10;

/** What the owner's calls about the audit log need. */
export interface AuditRoutesOptions {
  /** The audit log. */
  audit: AuditLog;
  /** The peers as witnesses of it. */
  witnesses?: Pick<Witnesses, "compare" | "faults">;
  /** This node as a witness of its peers' logs. */
  witness?: Pick<WitnessBook, "faults">;
}

/**
 * | call | answer |
 * |---|---|
 * | `GET /?count=N` | the last entries, and why none can be made; with `before=SEQ` the last ones before that one |
 * | `GET /verify` | the verdict about the log, together with what witnesses hold |
 * | `GET /export` | all entries as JSON lines |
 * | `GET /checkpoint` | `{"checkpoint": note}`, over all entries, with the cosignatures that are there |
 * | `GET /proof?seq=N` | an entry with the proof that it is in the log of that checkpoint |
 * | `POST /prune` | `{"keep": N}` or `{"before": date}`; answers `{"pruned": N}` |
 */
export function auditRoutes({ audit, witnesses }: AuditRoutesOptions): Hono {
  const app = new Hono();
  app.get("/", async ({ req, json }) => {
    const count = Number(req.query("count") ?? 20);
    if (!Number.isInteger(count) || count < 1 || count > 10_000) {
      throw new ArkError("bad_request", "Field count must be a whole number from 1 to 10000");
    }
    const before = req.query("before");
    const entries = before === undefined
      ? await audit.tail(count)
      : await entriesBefore(Number(before), { audit, count });
    return json({ entries, fault: audit.fault });
  });
  app.get("/verify", async ({ req, json }) => {
    const verdict = await audit.verify();
    const findings = await witnesses?.compare(req.raw.signal) ?? [];
    return json(witnessedVerdict(verdict, findings));
  });
  app.get("/export", (context) => {
    context.header("content-type", "application/x-ndjson");
    return stream(context, async (out) => {
      for await (const line of audit.export()) await out.writeln(line);
    });
  });
  app.get("/checkpoint", async ({ json }) => json({ checkpoint: await audit.checkpoint() }));
  app.get("/proof", async ({ req, json }) => json(await audit.proof(Number(req.query("seq") ?? NaN))));
  app.post("/prune", async ({ req, json }) => {
    const body = await readJson(req.raw, BODY_BYTES);
    const { keep, before } = (typeof body === "object" ? body : null) as { keep?: unknown; before?: unknown } ?? {};
    if ((keep === undefined) === (before === undefined)) {
      throw new ArkError("bad_request", "Give either keep, a number of entries, or before, a date");
    }
    return json({ pruned: await audit.prune({ keep, before } as PruneRange) });
  });
  return app;
}

async function entriesBefore(
  before: number,
  { audit, count }: { audit: Pick<AuditLog, "export">; count: number },
): Promise<AuditEntry[]> {
  if (!Number.isSafeInteger(before) || before < 1) {
    throw new ArkError("bad_request", "Field before must be the number of an entry");
  }
  const entries: AuditEntry[] = [];
  for await (const line of audit.export({ after: Math.max(0, before - 1 - count) })) {
    const entry: AuditEntry = JSON.parse(line);
    if (entry.seq >= before) break;
    entries.push(entry);
    if (entries.length >= count) break;
  }
  return entries;
}
