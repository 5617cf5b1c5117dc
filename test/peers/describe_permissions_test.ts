import assert from "node:assert/strict";
import { describePermissions, type Permissions } from "@ark/node/peers";

const NONE: Permissions = {
  can_request_inference: false,
  can_pull_models: false,
  models_shared: [],
  max_concurrent_requests: 1,
};

Deno.test("describePermissions() says each combination in plain words", () => {
  const say = (permissions: Partial<Permissions>, until: string | null = null) =>
    describePermissions("Dave", { ...NONE, ...permissions }, until);
  const nothing = "Dave may not use anything here. You can ask its models, if its owner lets you.";
  assert.equal(say({}), nothing);
  assert.equal(say({ models_shared: ["a"] }), nothing);
  assert.equal(say({ can_request_inference: true, can_pull_models: true }), nothing);
  assert.equal(
    say({ can_request_inference: true, models_shared: ["a"] }),
    "Dave may ask a, one question at a time. It cannot download models.",
  );
  assert.equal(
    say({ can_request_inference: true, models_shared: ["a", "b"], max_concurrent_requests: 4 }, "2086-12-20T10:00:00Z"),
    "Dave may ask a and b, four questions at a time, until 20 December 2086. It cannot download models.",
  );
  assert.equal(
    say({
      can_request_inference: true,
      can_pull_models: true,
      models_shared: ["a", "b", "c"],
      max_concurrent_requests: 5,
    }),
    "Dave may ask a, b and c, 5 questions at a time. It may download a, b and c.",
  );
  assert.equal(
    say({ can_request_inference: true, can_pull_models: true, models_shared: ["a", "*"], max_concurrent_requests: 2 }),
    "Dave may ask any of your models, two questions at a time. It may download any of your models.",
  );
  assert.equal(
    say({ can_pull_models: true, models_shared: ["a"] }, "2006-12-20T10:00:00Z"),
    "Dave may not ask your models, until 20 December 2006. It may download a.",
  );
});

Deno.test("describePermissions() tells the limits, and a day that is near without its year", () => {
  const near = new Date(Date.now() + 30 * 24 * 3_600_000);
  const day = near.toLocaleDateString("en-GB", { day: "numeric", month: "long", timeZone: "UTC" });
  const permissions = { ...NONE, can_request_inference: true, models_shared: ["llama3.1:8b"] };
  assert.equal(
    describePermissions("Dave's Ark", permissions, near.toISOString()),
    `Dave's Ark may ask llama3.1:8b, one question at a time, until ${day}. It cannot download models.`,
  );
  const limits = { max_requests_per_minute: 10, max_tokens_per_day: 20_000, max_tokens_per_request: 500 };
  assert.equal(
    describePermissions("Dave", { ...permissions, ...limits }, null),
    "Dave may ask llama3.1:8b, one question at a time, at most 10 a minute and 20,000 tokens a day, " +
      "answers of at most 500 tokens. It cannot download models.",
  );
  assert.equal(
    describePermissions("Dave", { ...permissions, max_tokens_per_day: 1_500, max_tokens_per_request: 2_048 }, null),
    "Dave may ask llama3.1:8b, one question at a time, at most 1,500 tokens a day. It cannot download models.",
  );
});
