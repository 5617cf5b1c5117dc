import { Hono } from "hono";
import type { AuditLog } from "@ark/node/audit";
import { ArkError } from "@ark/node/protocol";
import { readJson } from "../api/request_json.ts";

/**
 * Whether this node works for peers, as its owner sees it.
 *
 * | state | meaning |
 * |---|---|
 * | `sharing` | it does |
 * | `paused` | the owner paused it |
 * | `outside_hours` | it is not one of the hours that the owner set |
 * | `gpu`, `game`, `cpu`, `input` | the owner, or a program of his, uses the machine |
 * | `thrashing` | the machine has too little memory |
 */
export type SharingState = "sharing" | "paused" | "outside_hours" | "gpu" | "game" | "cpu" | "input" | "thrashing";

/** Sharing as the owner is told of it. */
export interface SharingView {
  /** How it stands. */
  state: SharingState;
  /** Whether peers are served. */
  shares: boolean;
  /** Why, as one sentence without a full stop. */
  sentence: string;
  /** When that ends, RFC 3339, or null where nobody can know. */
  until: string | null;
}

/** The same, with what it is looked for. */
export interface SharingDetails extends SharingView {
  /** What becomes of peers' answers that run when the node yields. */
  on_yield: "finish" | "move";
  /** What is looked for, whether it is the case, and why that cannot be told here, or null. */
  watches: { what: string; used: boolean; cannot_tell: string | null }[];
}

/** What decides about sharing. */
export interface SharingControl {
  /** How it stands. */
  details(): SharingDetails;
  /**
   * Pauses for some milliseconds, or until {@linkcode SharingControl.resume}; it counts at once.
   *
   * @throws {ArkError} `bad_request` for a time that makes no sense.
   */
  pause(ms: number | null): Promise<SharingDetails>;
  /** Ends the pause. */
  resume(): Promise<SharingDetails>;
}

/** What {@linkcode sharingRoutes} needs. */
export interface SharingRoutesOptions {
  /** Decides about sharing; without it there are no such calls. */
  sharing?: SharingControl;
  /** Records what the owner does. */
  audit: Pick<AuditLog, "append">;
}

const BODY_BYTES = 4_096;

/**
 * | call | answer |
 * |---|---|
 * | `GET /sharing` | how sharing stands: {@linkcode SharingDetails} |
 * | `POST /sharing/pause` `{for_s?, until?}` | pauses it for some seconds, or until a moment (RFC 3339), or until it is resumed |
 * | `POST /sharing/resume` | ends the pause |
 */
export function sharingRoutes({ sharing, audit }: SharingRoutesOptions): Hono {
  const app = new Hono();
  if (sharing === undefined) return app;
  // It counts whether or not it can be recorded: the owner's hand must not wait for a disk.
  const record = () => audit.append({ kind: "config", direction: null, peer: null }).then(() => true, () => false);
  app.get("/", ({ json }) => json(sharing.details()));
  app.post("/pause", async ({ req, json }) => {
    const details = await sharing.pause(lengthOf(await readJson(req.raw, BODY_BYTES)));
    return json({ ...details, recorded: await record() });
  });
  app.post("/resume", async ({ json }) => {
    const details = await sharing.resume();
    return json({ ...details, recorded: await record() });
  });
  return app;
}

function lengthOf(body: unknown): number | null {
  const { for_s: seconds, until } = Object(body) as Record<string, unknown>;
  if (seconds !== undefined && until !== undefined) {
    throw new ArkError("bad_request", "A pause has a length or an end: send for_s or until, or neither");
  }
  if (typeof seconds === "number" && Number.isFinite(seconds)) return seconds * 1_000;
  if (typeof until === "string" && until.length < 40 && !Number.isNaN(Date.parse(until))) {
    return Date.parse(until) - Date.now();
  }
  if (seconds === undefined && until === undefined) return null;
  throw new ArkError("bad_request", "Cannot read that pause: for_s is a number of seconds, until a moment as RFC 3339");
}
