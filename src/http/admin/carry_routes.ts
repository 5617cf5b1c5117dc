import { isAbsolute } from "node:path";
import { Hono } from "hono";
import { type Identity, type NodeId, shortId } from "@ark/node/identity";
import { type BlobShelf, exportTo, importFrom, type ModelCatalogue, type ModelStore } from "@ark/node/models";
import type { PeerBook } from "@ark/node/peers";
import { ArkError } from "@ark/node/protocol";
import { readJson } from "../api/request_json.ts";
import { modelNamed, progressAnswer } from "./model_routes.ts";

/** What the owner's calls about models that are carried or wait need. */
export interface CarryRoutesOptions {
  /** This node. */
  identity: Pick<Identity, "id">;
  /** Knows who signed. */
  book: Pick<PeerBook, "get">;
  /** This node's own models, or null. */
  engine: {
    /** Knows which there are. */
    catalogue: Pick<ModelCatalogue, "find">;
    /** Takes them. */
    models?: Pick<ModelStore, "obtain" | "approve" | "limits">;
    /** Knows their files. */
    shelf?: Pick<BlobShelf, "find" | "manifest">;
  } | null;
  /** Aborted when the node begins to stop. */
  closing: AbortSignal;
}

const BODY_BYTES = 8 << 10;
const LONGEST_PATH = 4_096;

/**
 * | call | answer |
 * |---|---|
 * | `POST /export` `{model, directory}` | writes a model into a folder; lines of JSON as `POST /pull` has them |
 * | `POST /import` `{directory}` | takes a model from such a folder; lines of JSON as `POST /pull` has them |
 * | `POST /approve` `{model}` | makes a model of one that waits for approval |
 */
export function carryRoutes({ engine, identity, book, closing }: CarryRoutesOptions): Hono {
  const app = new Hono();
  const own = () => {
    if (engine?.models !== undefined && engine.shelf !== undefined) {
      return { store: engine.models, shelf: engine.shelf, catalogue: engine.catalogue };
    }
    throw new ArkError("unavailable", "This node keeps no models: it has not the role compute");
  };
  app.post("/export", async ({ req }) => {
    const { model, directory } = Object(await readJson(req.raw, BODY_BYTES)) as Record<string, unknown>;
    const [ref, folder] = [modelNamed(model, "model"), folderNamed(directory)];
    const { store, shelf, catalogue } = own();
    return progressAnswer(
      (signal) => exportTo(ref, folder, { store, shelf, catalogue, signal }),
      [closing, req.raw.signal],
    );
  });
  app.post("/import", async ({ req }) => {
    const { directory } = Object(await readJson(req.raw, BODY_BYTES)) as Record<string, unknown>;
    const folder = folderNamed(directory);
    const { store } = own();
    const signer = (id: NodeId) => signerOf(id, { identity, book });
    return progressAnswer((signal) => importFrom(folder, { store, signer, signal }), [closing, req.raw.signal]);
  });
  app.post("/approve", async ({ req, json }) => {
    const { model } = Object(await readJson(req.raw, BODY_BYTES)) as Record<string, unknown>;
    const { name, size, from } = await own().store.approve(modelNamed(model, "model"), req.raw.signal);
    return json({ approved: name, size, from });
  });
  return app;
}

/** Who a node is to the owner: what a signature is worth is whom he knows. */
function signerOf(id: NodeId, { identity, book }: Pick<CarryRoutesOptions, "identity" | "book">): string {
  if (id === identity.id) return "this node itself";
  const peer = book.get(id);
  if (peer !== undefined && peer !== null) return `${peer.name} (${shortId(id)}), a peer that you approved`;
  return `a node that you do not know (${
    shortId(id)
  }): nobody that you know vouches for its name, its bytes are checked as ever`;
}

function folderNamed(value: unknown): string {
  if (typeof value === "string" && value.length <= LONGEST_PATH && isAbsolute(value) && !/\p{Cc}/u.test(value)) {
    return value;
  }
  throw new ArkError("bad_request", "Field directory must be the absolute path of a folder");
}
