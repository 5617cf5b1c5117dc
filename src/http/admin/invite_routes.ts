import { Hono } from "hono";
import { networkInterfaces } from "node:os";
import type { Identity } from "@ark/node/identity";
import { acceptInvitation, type AcceptOptions, chosenTerms, decodeApproval, type Invitations } from "@ark/node/peers";
import { ArkError, formatInvitation, isHint } from "@ark/node/protocol";
import { formatAddress, type PeerAddress } from "@ark/node/transport";
import { admitPeer } from "../admit_peer.ts";
import { readJson } from "../api/request_json.ts";
import type { PairRoutesOptions } from "./pair_routes.ts";
import { invitationJson } from "./pairing_view.ts";

/** What the invite routes need. */
export interface InviteRoutesOptions extends PairRoutesOptions {
  /** This node. */
  identity: Identity;
  /** Its label. */
  name: string;
  /** Where peers connect. */
  mesh: PeerAddress;
  /** Invitations of this node. */
  invitations: Invitations;
  /** Talks to other nodes. */
  client: AcceptOptions["client"];
}

const BODY_BYTES = 64 << 10;
const A_DAY_MS = 86_400_000;
const MOST_HINTS = 8;

/**
 * | call | does |
 * |---|---|
 * | `GET /invites` | invitations, open and over |
 * | `POST /invites` `{preset, models, …, life_ms, at}` | makes one, and answers with its link, which is shown this once |
 * | `POST /invites/revoke` `{id}` | takes one back |
 * | `POST /invites/accept` `{link, preset, …}` | accepts somebody's; the preset, `none` unless it is given, is what the inviter may do here |
 */
export function inviteRoutes(options: InviteRoutesOptions): Hono {
  const { identity, name, mesh, invitations, client, book, neighbourhood, audit, table } = options;
  const app = new Hono();
  app.get("/", async ({ json }) => {
    const views = await invitations.list();
    return json({ invitations: views.map((view) => invitationJson(view, book.list())) });
  });
  app.post("/", async ({ req, json }) => {
    const { life_ms = A_DAY_MS, at = [], ...choice } = fieldsOf(await readJson(req.raw, BODY_BYTES));
    if (typeof life_ms !== "number") {
      throw new ArkError("bad_request", "Field life_ms must be a number of milliseconds");
    }
    const hints = hintsOf(at, mesh);
    const { expires_at, ...terms } = checked(choice, identity);
    const lives_ms = expires_at === undefined ? null : Math.max(1, Date.parse(expires_at) - Date.now());
    const { view, secret } = await invitations.create({ lifeMs: life_ms, terms: { ...terms, lives_ms } });
    const link = formatInvitation({ inviter: identity.id, hints, secret });
    return json({ ...invitationJson(view, []), link, addresses: hints });
  });
  app.post("/revoke", async ({ req, json }) => {
    const { id } = fieldsOf(await readJson(req.raw, BODY_BYTES));
    const view = typeof id === "string" ? await invitations.revoke(id) : undefined;
    if (view === undefined) {
      throw new ArkError(
        "bad_request",
        "No open invitation has this name: 'ark-node invites' shows those that there are",
      );
    }
    return json({ revoked: invitationJson(view, []) });
  });
  app.post("/accept", async ({ req, json }) => {
    const { link, ...choice } = fieldsOf(await readJson(req.raw, BODY_BYTES));
    if (typeof link !== "string") throw new ArkError("bad_request", "Field link must be an invitation: ark:1:…");
    // What is wrong with the choice must be known before the invitation is used up.
    const terms = checked(Object.keys(choice).length === 0 ? { preset: "none" } : choice, identity);
    const inviter = await acceptInvitation(link, {
      identity,
      name,
      client,
      ownPort: () => mesh.port,
      loopback: isLoopback(mesh.hostname),
      addresses: (id) => neighbourhood.addresses(id),
    });
    const before = book.get(inviter.id);
    // Somebody who is approved already keeps what he may do.
    const approval = before === undefined
      ? { name: inviter.name, ...terms, node_id: inviter.id, verified: false }
      : { ...before };
    const admitted = await admitPeer(approval, { addresses: inviter.addresses, options });
    await audit.append({ kind: "pair", direction: "out", peer: inviter.id, outcome: "ok" }).catch(() => {});
    await table.ask(inviter.id, AbortSignal.timeout(1_500)).catch(() => {});
    return json(admitted);
  });
  return app;
}

/** What was chosen, when an approval can be made of it: an invitation that cannot be put into effect is none. */
function checked(choice: unknown, { id }: Identity): ReturnType<typeof chosenTerms> {
  const terms = chosenTerms(choice);
  decodeApproval({ ...terms, node_id: id }, new Date().toISOString());
  return terms;
}

function fieldsOf(body: unknown): Record<string, unknown> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new ArkError("bad_request", "The body must be an object");
  }
  return body as Record<string, unknown>;
}

/** Where this node may be found: what the owner names first, then the addresses of this machine. */
function hintsOf(at: unknown, mesh: PeerAddress): string[] {
  if (!Array.isArray(at) || !at.every((one) => typeof one === "string")) {
    throw new ArkError("bad_request", "Field at must be a list of addresses such as ark.example.org:8911");
  }
  const named = at.map((one: string) => one.toLowerCase());
  const wrong = named.find((one) => !isHint(one));
  if (wrong !== undefined) {
    throw new ArkError("bad_request", "Field at has an entry that is no address such as ark.example.org:8911");
  }
  return [...new Set([...named, ...ownAddresses(mesh).map(formatAddress)])].slice(0, MOST_HINTS);
}

function ownAddresses({ hostname, port }: PeerAddress): PeerAddress[] {
  if (hostname !== "0.0.0.0" && hostname !== "::") return [{ hostname, port }];
  return Object.values(networkInterfaces()).flat().flatMap((one) =>
    one === undefined || one.internal || /^fe80:/i.test(one.address) || (one.family === "IPv6" && hostname !== "::")
      ? []
      : [{ hostname: one.address, port }]
  );
}

function isLoopback(hostname: string): boolean {
  return hostname === "::1" || /^127\./.test(hostname);
}
