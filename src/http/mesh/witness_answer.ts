import { WITNESS_REQUEST_LIMIT, type WitnessBook } from "@ark/node/audit";
import { ArkError } from "@ark/node/protocol";
import type { Caller, MeshRequest } from "@ark/node/transport";

/**
 * This node as a witness of its peers' audit logs, C2SP `tlog-witness`: a `POST` shows the newest checkpoint and gets a
 * cosignature, a `GET` asks which checkpoint of the caller this node holds.
 */
export async function witnessAnswer(
  request: MeshRequest,
  { caller, witness }: { caller: Caller; witness: Pick<WitnessBook, "add" | "remembered"> },
): Promise<Response> {
  if (request.method === "GET") {
    const note = await witness.remembered(caller.nodeId);
    if (note !== null) return new Response(note, { headers: { "content-type": "text/plain; charset=utf-8" } });
    return new Response("This node has not seen your log yet\n", { status: 404 });
  }
  const text = await request.text();
  if (text.length > WITNESS_REQUEST_LIMIT) throw new ArkError("too_large", "A checkpoint and its proof are shorter");
  const { status, type, body } = await witness.add(caller.nodeId, text);
  return new Response(body, { status, headers: { "content-type": type } });
}
