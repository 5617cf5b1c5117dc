import assert from "node:assert/strict";
import { signResponse, verifyResponse } from "../../../src/transport/signed_response.ts";
import { mutateText } from "../mutate.ts";
import type { FuzzTarget } from "../target.ts";
import { alice } from "./signature.ts";

interface Answer {
  status: number;
  fields: [string, string][];
}

const request = new Uint8Array(64).fill(7);
const ANSWERS: Answer[] = [[200, "text/event-stream"], [404, "application/json"]].map(([status, contentType]) => {
  const head = { status: Number(status), contentType: String(contentType), request, created: 1_790_000_000 };
  return {
    status: head.status,
    fields: Object.entries({ "content-type": head.contentType, ...signResponse(alice, head) }),
  };
});
const KNOWN = new Set(ANSWERS.map(show));

function show({ status, fields }: Answer): string {
  return JSON.stringify([status, fields]);
}

/** The signed head of a response. */
export const responseHead: FuzzTarget<Answer> = {
  name: "response_head",
  promise: "An answer passes for the peer's only with every byte that the peer signed.",
  corpus: ANSWERS,
  covers: ["/src/transport/signed_response.ts", "/src/transport/message_signature.ts"],
  mutate(random, { status, fields }, other) {
    const changed = fields.map(([name, value]): [string, string] => [name, value]);
    const at = random.below(changed.length);
    const field = changed[at] ?? ["", ""];
    switch (random.below(6)) {
      case 0:
        return { status: random.pick([200, 201, 204, 404, 500, status + 1]), fields };
      case 1:
        return { status, fields: changed.toSpliced(at, 1) };
      case 2:
        changed.push([field[0], other.fields[at]?.[1] ?? ""]);
        break;
      default:
        field[1] = mutateText(random, field[1], other.fields[at]?.[1]);
    }
    return { status, fields: changed };
  },
  check(answer) {
    let headers: Headers;
    try {
      headers = new Headers(answer.fields);
    } catch (error) {
      // Such a field does not come off the wire.
      if (error instanceof TypeError) return false;
      throw error;
    }
    const expected = { id: alice.id, key: alice.publicKey, request };
    if (!verifyResponse({ status: answer.status, headers }, expected)) return false;
    assert.ok(!verifyResponse({ status: answer.status, headers }, { ...expected, request: new Uint8Array(64) }));
    assert.ok(
      KNOWN.has(show({ status: answer.status, fields: answer.fields.map(trimmed) })),
      "The peer never signed this",
    );
    return true;
  },
  show,
};

/** HTTP itself takes white space off both ends of a value. */
function trimmed([name, value]: [string, string]): [string, string] {
  return [name, value.replace(/^[\t\r\n ]+|[\t\r\n ]+$/g, "")];
}
