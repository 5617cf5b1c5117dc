import { type Context, Hono } from "hono";
import { parsePeerAddress } from "@ark/node/discovery";
import { formatNodeId, type NodeId, nodeIdOf, parseNodeId, parsePublicKey } from "@ark/node/identity";
import { chosenTerms, type IgnoredNodes, isOpen, type Pairings } from "@ark/node/peers";
import { ArkError, reasonOf } from "@ark/node/protocol";
import type { Events } from "@ark/node/telemetry";
import type { PeerAddress } from "@ark/node/transport";
import { type AdmitOptions, admitPeer } from "../admit_peer.ts";
import { readJson } from "../api/request_json.ts";
import { eventStream } from "./event_stream.ts";
import { discoveredPeer } from "./owner_view.ts";
import type { PeerRoutesOptions } from "./peer_routes.ts";
import { ignoredJson, pairingJson } from "./pairing_view.ts";

/** What the pair routes need. */
export interface PairRoutesOptions extends Pick<PeerRoutesOptions, "book" | "neighbourhood" | "table" | "audit"> {
  /** Pairings by words. */
  pairings: Pairings;
  /** Whom the owner wants to hear nothing of. */
  ignored: IgnoredNodes;
  /** Where paired nodes are. */
  lastAddresses: AdmitOptions["lastAddresses"];
  /** What happens, as it happens. */
  events: Events;
  /** Aborted when the node begins to stop: streams that would never end are ended. */
  closing: AbortSignal;
}

const BODY_BYTES = 64 << 10;
const ACTS: ReadonlySet<string> = new Set(["match", "different", "cancel"]);

/**
 * | call | does |
 * |---|---|
 * | `GET /pair`, `GET /pair/events` | pairings, once, or again after each change as server-sent events |
 * | `POST /pair` `{address}` or `{node_id}` | begins one, and answers when the words are known |
 * | `POST /pair/SESSION/match`, `…/different`, `…/cancel` | what the owner says about the words; `different` pauses a peer that was approved before |
 * | `POST /pair/SESSION/approve` `{preset, models, expires_at, name}` or `{permissions, …}` or `{keep: true}` | what the other node may do here |
 * | `GET /pending` | nodes that proved their key and wait for the owner, and those that are ignored |
 * | `POST /ignore`, `/dismiss`, `/unignore` `{node_id}` | no card of it any more, for ever or a day; and the undo |
 */
export function pairRoutes(options: PairRoutesOptions): Hono {
  const { pairings, book, neighbourhood, ignored } = options;
  const app = new Hono();
  const shown = () => ({ pairings: pairings.list().map((view) => pairingJson(view, book.list())) });
  app.get("/pair", ({ json }) => json(shown()));
  app.get(
    "/pair/events",
    () => eventStream({ ...options, state: shown, each: ({ type }) => type === "pair" ? shown() : undefined }),
  );
  app.post("/pair", async ({ req, json }) => {
    const view = await pairings.begin(targetOf(await readJson(req.raw, BODY_BYTES)));
    return json(pairingJson(view, book.list()));
  });
  app.post("/pair/:session/approve", (context) => approve(context, options));
  app.post("/pair/:session/:act", async ({ req, json }) => {
    const { session, act } = req.param();
    if (!ACTS.has(act)) throw new ArkError("bad_request", "With a pairing one can match, different, cancel or approve");
    const view = await pairings.decide(session, act as "match" | "different" | "cancel");
    if (act === "different") await distrust(view.id, options);
    return json(pairingJson(view, book.list()));
  });
  app.get("/pending", ({ json }) => {
    const waiting = neighbourhood.list().filter(({ id }) => book.standing(id) === "unknown");
    return json({
      pending: waiting.map((found) => discoveredPeer(found, { standing: "unknown", peer: undefined })),
      ignored: ignored.list().map(ignoredJson),
      ...shown(),
    });
  });
  for (const [path, why] of [["/ignore", "ignored"], ["/dismiss", "dismissed"]] as const) {
    app.post(path, async ({ req, json }) => {
      const id = nodeOf(await readJson(req.raw, BODY_BYTES));
      if (book.get(id) !== undefined) {
        throw new ArkError("bad_request", "That node is approved: revoke it first, then it can be ignored");
      }
      const node = await ignored.add(id, why);
      neighbourhood.forget(id);
      for (const { session, phase } of pairings.list().filter((view) => view.id === id)) {
        if (isOpen(phase)) await pairings.decide(session, "cancel");
      }
      return json({ ignored: ignoredJson(node) });
    });
  }
  app.post("/unignore", async ({ req, json }) => {
    const id = nodeOf(await readJson(req.raw, BODY_BYTES));
    const node = await ignored.remove(id);
    if (node === undefined) throw new ArkError("bad_request", "That node is not ignored");
    neighbourhood.lookAgain(id);
    return json({ unignored: formatNodeId(id) });
  });
  return app;
}

/** The node with this key is not the one that the owner believed: it is no card any more, and may ask nothing. */
async function distrust(id: NodeId, { book, neighbourhood, audit, table }: PairRoutesOptions): Promise<void> {
  if (book.get(id) === undefined) return neighbourhood.forget(id);
  // It may have been let in by an invitation before any words were compared.
  await book.setPaused(id, "paused");
  await audit.append({ kind: "config", direction: null, peer: id }).catch(() => {});
  table.refresh();
}

async function approve({ req, json }: Context, options: PairRoutesOptions): Promise<Response> {
  const { pairings, book, table } = options;
  const session = req.param("session") ?? "";
  const view = pairings.get(session);
  const body = await readJson(req.raw, BODY_BYTES);
  const known = view === undefined ? undefined : book.get(view.id);
  const keep = (body as { keep?: unknown } | null)?.keep === true;
  if (keep && known === undefined) throw new ArkError("bad_request", "There is nothing to keep: choose a preset");
  const { verified: _, approved_at: __, ...before } = known ?? {};
  const chosen = keep ? before : chosenTerms(body);
  // First the approval, then the word to the other side: it is told nothing that is not so.
  const admitted = await pairings.approve(session, ({ id, address, name }) => {
    const approval = { ...(name === null ? {} : { name }), ...chosen, node_id: id, verified: true };
    return admitPeer(approval, { addresses: address === null ? [] : [address], options });
  });
  const { id } = admitted.view;
  await table.ask(id, AbortSignal.timeout(1_500)).catch(() => {});
  return json({ ...admitted.result, pairing: pairingJson(admitted.view, book.list()) });
}

function targetOf(body: unknown): { address: PeerAddress } | { id: NodeId } {
  const { address } = (body ?? {}) as { address?: unknown };
  if (address === undefined) return { id: nodeOf(body) };
  try {
    if (typeof address !== "string") throw new SyntaxError("Field address must be a text such as 192.168.1.20:8911");
    return { address: parsePeerAddress(address) };
  } catch (error) {
    throw new ArkError("bad_request", reasonOf(error));
  }
}

function nodeOf(body: unknown): NodeId {
  const { node_id, public_key } = (body ?? {}) as { node_id?: unknown; public_key?: unknown };
  try {
    if (typeof public_key === "string") return nodeIdOf(parsePublicKey(public_key));
    if (typeof node_id === "string") return parseNodeId(node_id);
  } catch (error) {
    throw new ArkError("bad_request", `Cannot tell which node is meant: ${reasonOf(error)}`);
  }
  throw new ArkError("bad_request", "Name the node, in the field node_id or public_key");
}
