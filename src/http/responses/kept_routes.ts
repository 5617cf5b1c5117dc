import type { Answers } from "../api/answers.ts";
import type { AdmittedReply } from "../api/api_routes.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import type { ErrorBody } from "../openai/error_answer.ts";
import type { KeptResponse, ResponseShelf } from "./response_shelf.ts";

const PATH = "/v1/responses/";

/** Items of a page where a client does not say, and most of one page. */
const USUAL_PAGE = 20;
const LARGEST_PAGE = 100;

interface Kept {
  id: string;
  sender: string | null;
  kept: KeptResponse | undefined;
  query: URLSearchParams;
}

/** `GET /v1/responses/{id}`: the response as it was sent. */
export function showResponse(shelf: ResponseShelf): AdmittedReply {
  return keptReply(shelf, ({ kept, query, id }) => {
    if (query.get("stream") === "true") {
      throw unsupported("stream", "must be absent: a response that is complete is sent in one piece");
    }
    return kept === undefined ? notFound(id) : jsonOf(kept.body);
  });
}

/** `DELETE /v1/responses/{id}`: forgets it. */
export function deleteResponse(shelf: ResponseShelf): AdmittedReply {
  return keptReply(shelf, ({ id, sender }) => {
    return shelf.delete(sender, id) ? Response.json({ id, object: "response", deleted: true }) : notFound(id);
  });
}

/** `GET /v1/responses/{id}/input_items`: what was asked, the latest first. */
export function showItems(shelf: ResponseShelf): AdmittedReply {
  return keptReply(shelf, ({ kept, query, id }) => {
    if (kept === undefined) return notFound(id);
    const items = JSON.parse(kept.items) as { id: string }[];
    const order = query.get("order") ?? "desc";
    if (order !== "asc" && order !== "desc") throw invalid("order", "must be asc or desc");
    if (order === "desc") items.reverse();
    const limit = Number(query.get("limit") ?? USUAL_PAGE);
    if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_PAGE) {
      throw invalid("limit", `must be a whole number from 1 to ${LARGEST_PAGE}`);
    }
    const after = query.get("after");
    const at = after === null ? 0 : items.findIndex((item) => item.id === after) + 1;
    if (after !== null && at === 0) throw invalid("after", "must be the id of an item of this list");
    const data = items.slice(at, at + limit);
    return Response.json({
      object: "list",
      data,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
      has_more: at + limit < items.length,
    });
  });
}

/** `POST /v1/responses/{id}/cancel`: only what runs in the background could be cancelled, and nothing does. */
export function cancelResponse(shelf: ResponseShelf): AdmittedReply {
  return keptReply(shelf, ({ kept, id }) => {
    if (kept === undefined) return notFound(id);
    throw unsupported("background", "must be true to cancel a response: this one was answered while you waited");
  });
}

function keptReply(shelf: ResponseShelf, reply: (kept: Kept) => Response): AdmittedReply {
  return ({ url }, { answers }) => {
    const { pathname, searchParams: query } = new URL(url);
    const [id = ""] = pathname.slice(pathname.indexOf(PATH) + PATH.length).split("/");
    const sender = senderOf(answers);
    return reply({ id, sender, kept: shelf.get(sender, id), query });
  };
}

function senderOf({ sender }: Answers): string | null {
  return sender?.key ?? null;
}

function jsonOf(json: string): Response {
  return new Response(json, { headers: { "content-type": "application/json" } });
}

/** What was never there, is gone, or is another's: all the same. */
function notFound(id: string): Response {
  const shown = id.slice(0, 100).replaceAll(/[^\w%-]/g, "?");
  const message = `Response with id '${shown}' not found: this node keeps answers in memory for a day`;
  const error = { message, type: "invalid_request_error", param: null, code: "response_not_found" };
  return Response.json({ error } satisfies ErrorBody, { status: 404 });
}
