import assert from "node:assert/strict";
import { anthropicRoutes } from "../../../src/http/anthropic/anthropic_routes.ts";
import { testDisconnects } from "../api/disconnects.ts";
import { QUESTION } from "./asking.ts";

testDisconnects("anthropicRoutes()", {
  routes: (answers) => anthropicRoutes({ answers }),
  path: "/v1/messages",
  body: QUESTION,
  isComplete: (text) => assert.match(text, /event: message_stop\n.*\n\n$/),
});
