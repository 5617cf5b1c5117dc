import assert from "node:assert/strict";
import { ArkError } from "@ark/node/protocol";
import { familyRefusal } from "../../src/http/family_refusal.ts";
import * as ANTHROPIC from "./anthropic/schemas.ts";
import { valid } from "./api/validate.ts";
import * as RESPONSES from "./responses/schemas.ts";

const REFUSED = new ArkError("forbidden", "Web pages may not use this API");

Deno.test("familyRefusal() speaks as the family does to which a path belongs", async () => {
  for (const path of ["/v1/messages", "/v1/messages/count_tokens"]) {
    const response = familyRefusal(REFUSED, path);
    const { error, request_id } = valid(await response.json(), ANTHROPIC.FAILURE);
    assert.deepEqual([response.status, error.type], [403, "permission_error"]);
    for (const name of ["request-id", "x-request-id"]) assert.equal(response.headers.get(name), request_id);
  }
  for (const path of ["/v1/responses", "/v1/messagesx", "/v1/models", "/v1/"]) {
    const response = familyRefusal(REFUSED, path);
    assert.equal(valid(await response.json(), RESPONSES.FAILURE).error.type, "permission_error");
  }
  assert.deepEqual(await familyRefusal(REFUSED, "/peers").json(), {
    error: { code: "ark_forbidden", message: REFUSED.message },
  });
});
