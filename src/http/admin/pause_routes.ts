import { Hono } from "hono";
import { ArkError } from "@ark/node/protocol";
import { readJson } from "../api/request_json.ts";
import { type PeerRoutesOptions, whoIs } from "./peer_routes.ts";

const BODY_BYTES = 1 << 16;

/** `POST /peers/pause` and `POST /peers/resume` with `{node_id}` or `{public_key}`: set a peer aside, take it in again. */
export function pauseRoutes({ book, audit, table }: Pick<PeerRoutesOptions, "book" | "audit" | "table">): Hono {
  const app = new Hono();
  for (const [path, how] of [["/pause", "paused"], ["/resume", "resumed"]] as const) {
    app.post(path, async ({ req, json }) => {
      const id = whoIs(await readJson(req.raw, BODY_BYTES), { act: path.slice(1) });
      const peer = await book.setPaused(id, how);
      if (peer === undefined) {
        throw new ArkError(
          "bad_request",
          "No approved peer has this id: 'ark-node peers list' shows those that there are",
        );
      }
      // It counts whether or not it can be recorded: the owner's hand must not wait for a disk.
      const recorded = await audit.append({ kind: "config", direction: null, peer: id }).then(() => true, () => false);
      table.refresh();
      return json({ peer, recorded });
    });
  }
  return app;
}
