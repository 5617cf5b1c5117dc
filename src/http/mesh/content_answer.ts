import { isPackName, type PackShelf } from "@ark/node/content";
import type { NodeId } from "@ark/node/identity";
import { type ContentGate, NOT_THERE } from "@ark/node/peers";
import { ArkError } from "@ark/node/protocol";
import type { ContentRecord } from "./content_record.ts";

/** What {@linkcode contentAnswer} goes by. */
export interface ContentAnswerOptions {
  /** Who asks, and SHA-256 of the signature of its request, hex. */
  caller: { nodeId: NodeId; signature: string };
  /** This node's own packs; never those of its peers, so that a page takes one hop. */
  shelf: Pick<PackShelf, "list" | "find">;
  /** Says who may read what. */
  gate: Pick<ContentGate, "shown" | "admit">;
  /** Puts it on the record that a peer reads a pack, before it does. */
  record: Pick<ContentRecord, "reads">;
}

/** What a peer asks for, or null where that is no question about content. */
export function isContentPath(path: string): boolean {
  return path === "/ark/v1/content" || path.startsWith("/ark/v1/content/");
}

/**
 * Content packs for an approved peer, as far as `content_shared` goes:
 *
 * | request | answer |
 * |---|---|
 * | `GET /ark/v1/content` | `{"packs":[…]}`, those that this very peer may read |
 * | `GET /ark/v1/content/page?pack=NAME&path=…&tag=…` | the bytes with their type and an entity tag; 302 and `{"path"}` where it is elsewhere in the pack; 304 where `tag` is still its tag |
 * | `GET /ark/v1/content/search?pack=NAME&q=…` | `{"hits":[{"path","title"}]}` by the beginning of titles |
 *
 * What is not shared gets the very answer of what is not there.
 *
 * @throws {ArkError}
 */
export async function contentAnswer(
  url: URL,
  { caller, shelf, gate, record }: ContentAnswerOptions,
): Promise<Response> {
  const { nodeId: peer, signature: request } = caller;
  if (url.pathname === "/ark/v1/content") {
    const packs = shelf.list().map(({ info }) => info);
    const shown = new Set(gate.shown(peer, packs.map(({ name }) => name)));
    return Response.json({ packs: packs.filter(({ name }) => shown.has(name)) });
  }
  const name = url.searchParams.get("pack") ?? "";
  using _place = gate.admit(peer, name);
  const pack = isPackName(name) ? shelf.find(name) : undefined;
  if (pack === undefined) throw new ArkError("model_not_found", NOT_THERE);
  await record.reads({ peer, pack: pack.info.name, request });
  if (url.pathname === "/ark/v1/content/search") {
    return Response.json({ hits: await pack.search(url.searchParams.get("q") ?? "") });
  }
  if (url.pathname !== "/ark/v1/content/page") throw new ArkError("bad_request", "This node has no such request");
  const answer = await pack.page(url.searchParams.get("path") ?? "");
  if (answer.kind === "elsewhere") return Response.json({ path: answer.path }, { status: 302 });
  const headers = { etag: `"${answer.tag}"`, "content-type": answer.type };
  if (url.searchParams.get("tag") === answer.tag) {
    return new Response(null, { status: 304, headers: { etag: headers.etag } });
  }
  return new Response(answer.body, { headers });
}
