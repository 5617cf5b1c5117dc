import assert from "node:assert/strict";
import { responsesRoutes } from "../../../src/http/responses/responses_routes.ts";
import { testDisconnects } from "../api/disconnects.ts";
import { MODEL } from "../api/scripted_answers.ts";

testDisconnects("responsesRoutes()", {
  routes: (answers) => responsesRoutes({ answers }),
  path: "/v1/responses",
  body: { model: MODEL, input: "Hello" },
  isComplete: (text) => assert.match(text, /event: response\.completed\n.*\n\n$/),
});
