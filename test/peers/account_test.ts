import assert from "node:assert/strict";
import fc from "fast-check";
import { Account, type Charge, type Permissions } from "@ark/node/peers";
import { ArkError, LIMITS } from "@ark/node/protocol";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function limits(given: Partial<Permissions>): Permissions {
  return {
    can_request_inference: true,
    can_pull_models: false,
    models_shared: ["*"],
    max_concurrent_requests: 100,
    ...given,
  };
}

function accountAt(start = 0): { account: Account; clock: { now: number } } {
  const clock = { now: start };
  return { account: new Account({ now: () => clock.now }), clock };
}

function refusal(act: () => unknown): ArkError {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof ArkError, String(error));
    return error;
  }
  return assert.fail("It was not refused");
}

Deno.test("Account.open() takes so many requests in any minute, and says when the next is taken", () => {
  const { account, clock } = accountAt();
  const most = limits({ max_requests_per_minute: 2 });
  const ask = () => account.open(most, { promptTokens: 1 }).settle("answered");
  ask();
  clock.now = 20_000;
  ask();
  clock.now = 47_500;
  const error = refusal(ask);
  assert.deepEqual([error.code, error.retryAfterSeconds], ["busy", 13]);
  assert.equal(error.message, "This node takes 2 of your requests in a minute; ask again in 13 seconds");
  clock.now = 60_000;
  ask();
  assert.equal(refusal(ask).retryAfterSeconds, 20);
});

Deno.test("Account.open() cuts an answer to what is left, and says when the rest comes back", () => {
  const { account, clock } = accountAt(5 * MINUTE);
  const most = limits({ max_tokens_per_day: 1_000 });
  const first = account.open(most, { promptTokens: 100 });
  assert.equal(first.maxTokens, 900);
  first.read(120);
  first.write(480);
  first.settle("answered");
  assert.deepEqual([account.tokens, account.promised], [600, 0]);
  clock.now += HOUR;
  const second = account.open(most, { promptTokens: 50, maxTokens: 100 });
  assert.equal(second.maxTokens, 100);
  const third = account.open(most, { promptTokens: 50 });
  assert.equal(third.maxTokens, 200);
  const promised = refusal(() => account.open(most, { promptTokens: 1 }));
  assert.match(promised.message, /^Your running answers may use the rest of your 1,000 tokens/);
  third.settle("failed");
  second.read(50);
  second.write(100);
  second.settle("answered", 100);
  account.open(most, { promptTokens: 249, maxTokens: 1 }).settle("broken_off");
  assert.equal(account.tokens, 999);
  const error = refusal(() => account.open(most, { promptTokens: 1 }));
  // The first slot of ten minutes began at 0 and ended at 10 minutes: 23 hours and 5 minutes from now.
  assert.deepEqual([error.code, error.retryAfterSeconds], ["busy", (DAY + 10 * MINUTE - clock.now) / 1_000]);
  assert.equal(error.message, "Your 1,000 tokens of 24 hours are used up at this node; ask again in 24 hours");
  clock.now = DAY + 10 * MINUTE;
  assert.equal(account.tokens, 399);
  account.open(most, { promptTokens: 1 }).settle("failed");
});

Deno.test("A prompt that is longer than it looked is refused before it is read, and costs nothing", () => {
  const { account } = accountAt();
  const most = limits({ max_tokens_per_day: 100 });
  account.open(most, { promptTokens: 40 }).settle("broken_off");
  const longer = account.open(most, { promptTokens: 10 });
  assert.equal(refusal(() => longer.read(60)).code, "busy");
  longer.settle("failed");
  const never = account.open(most, { promptTokens: 10 });
  const error = refusal(() => never.read(100));
  assert.deepEqual([error.code, error.message], [
    "too_large",
    "This prompt is longer than the 100 tokens that you may use here in 24 hours",
  ]);
  never.settle("failed");
  assert.deepEqual([account.tokens, account.promised], [40, 0]);
  // A guess alone, however large, refuses nothing.
  const guessed = account.open(limits({ max_tokens_per_day: 200 }), { promptTokens: 10 });
  guessed.read(30);
  assert.equal(guessed.maxTokens, 150);
  guessed.settle("answered", 5);
  assert.equal(account.tokens, 75);
  new Account({ now: () => 0 }).open(most, { promptTokens: 1e9 }).read(20);
});

Deno.test("An answer whose prompt was longer than it looked ends where the tokens do", () => {
  const { account } = accountAt();
  const charge = account.open(limits({ max_tokens_per_day: 100 }), { promptTokens: 10 });
  assert.equal(charge.maxTokens, 90);
  charge.read(30);
  for (let token = 0; token < 70; token++) charge.write(1);
  assert.equal(refusal(() => charge.write(1)).code, "busy");
  charge.settle("failed");
  assert.equal(account.tokens, 100);
});

Deno.test("Account.open() grants no more than the request asks, the limit allows, or every peer gets", () => {
  const { account } = accountAt();
  const granted = (given: Partial<Permissions>, maxTokens?: number) => {
    const charge = account.open(limits(given), { promptTokens: 1, ...(maxTokens === undefined ? {} : { maxTokens }) });
    charge.settle("failed");
    return charge.maxTokens;
  };
  assert.equal(granted({}), LIMITS.peerMaxTokens);
  assert.equal(granted({}, 1_000_000), LIMITS.peerMaxTokens);
  assert.equal(granted({}, 5), 5);
  assert.equal(granted({ max_tokens_per_request: 100 }), 100);
  assert.equal(granted({ max_tokens_per_request: 100 }, 5), 5);
  assert.equal(granted({ max_tokens_per_request: 5_000 }, 1_000_000), 5_000);
});

Deno.test("Account keeps its tokens over a restart, and never forgets one too early", () => {
  const { account, clock } = accountAt(5 * MINUTE);
  const most = limits({ max_tokens_per_day: 100 });
  account.open(most, { promptTokens: 60 }).settle("broken_off");
  clock.now += 2 * HOUR;
  account.open(most, { promptTokens: 30 }).settle("broken_off");
  const kept = account.slots();
  assert.deepEqual(kept, [{ age_ms: 115 * MINUTE, tokens: 60 }, { age_ms: 0, tokens: 30 }]);
  let now = 3_000;
  const again = new Account({ now: () => now, kept });
  assert.equal(again.tokens, 90);
  now += DAY - 2 * HOUR;
  assert.equal(again.tokens, 90, "Not before the day is over");
  now += 30 * MINUTE;
  assert.equal(again.tokens, 30);
  now += 2 * HOUR;
  assert.deepEqual([again.tokens, again.blank, again.slots()], [0, true, []]);
});

Deno.test("T53: Who breaks off most of its answers waits as long as they ran; who stops one now and then does not", () => {
  const { account, clock } = accountAt();
  const most = limits({});
  const ask = (how: "answered" | "broken_off", ms: number) => {
    const charge = account.open(most, { promptTokens: 1 });
    clock.now += ms;
    charge.settle(how);
  };
  for (let round = 0; round < 40; round++) ask(round % 3 === 0 ? "broken_off" : "answered", 500);
  for (let round = 0; round < 9; round++) ask("answered", 500);
  let waited = 0;
  let ran = 0;
  for (let round = 0; round < 200; round++) {
    const wait = account.obstacle(most)?.freeInMs ?? 0;
    clock.now += wait;
    waited += wait;
    ask("broken_off", 700);
    ran += 700;
  }
  assert.ok(waited > 0.9 * ran && waited <= ran, `${waited} of ${ran} ms`);
  const error = refusal(() => ask("answered", 1));
  assert.equal(
    error.message,
    "You broke off 20 of your last answers, so this node takes your next request in 1 second",
  );
  assert.deepEqual([error.code, error.retryAfterSeconds], ["busy", 1]);
  clock.now += 700;
  ask("broken_off", 10 * MINUTE);
  assert.equal(account.obstacle(most)?.freeInMs, 30_000);
});

Deno.test("T53: A thousand requests that are broken off at once use up the tokens of the day", () => {
  const { account, clock } = accountAt();
  const most = limits({ max_tokens_per_day: 20_000 });
  let admitted = 0;
  let refused = 0;
  for (let round = 0; round < 1_000; round++) {
    clock.now += 1_000;
    try {
      const charge = account.open(most, { promptTokens: 90 });
      admitted++;
      // Every other one leaves before the engine has begun.
      if (round % 2 === 0) charge.read(100);
      charge.settle("broken_off");
    } catch (error) {
      assert.equal((error as ArkError).code, "busy");
      refused++;
    }
  }
  assert.ok(admitted <= 20_000 / 90 && admitted >= 200, `${admitted} admitted`);
  assert.equal(refused, 1_000 - admitted);
  assert.ok(account.tokens <= 20_000);
});

/** What a caller and an engine may do, in any order. */
type Step =
  | { do: "open"; prompt: number; max: number | undefined }
  | { do: "read"; which: number; tokens: number }
  | { do: "write"; which: number; tokens: number }
  | { do: "settle"; which: number; how: "answered" | "broken_off" | "failed"; twice: boolean }
  | { do: "wait"; ms: number };

function steps(): fc.Arbitrary<Step[]> {
  const which = fc.nat(9);
  const tokens = fc.nat(300);
  const how = fc.constantFrom("answered" as const, "broken_off" as const, "failed" as const);
  const max = fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined });
  return fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ do: fc.constant("open" as const), prompt: tokens, max }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("read" as const), which, tokens }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant("write" as const), which, tokens }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("settle" as const), which, how, twice: fc.boolean() }) },
      {
        weight: 2,
        arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 2 * HOUR }) }),
      },
    ),
    { maxLength: 120 },
  );
}

Deno.test("T38: Account is never above a limit, in any minute and in any day, and promises nothing at the end", () => {
  fc.assert(
    fc.property(steps(), fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 1_500 }), (all, rate, day) => {
      const { account, clock } = accountAt(7 * HOUR);
      const most = limits({ max_requests_per_minute: rate, max_tokens_per_day: day });
      const open: { charge: Charge; read: number; written: number; prompt: number }[] = [];
      const begun: number[] = [];
      const spent: { at: number; tokens: number }[] = [];
      const settle = (which: number, how: "answered" | "broken_off" | "failed") => {
        const [one] = open.splice(which % Math.max(1, open.length), 1);
        if (one === undefined) return;
        const before = account.tokens;
        one.charge.settle(how);
        one.charge.settle("answered", 1_000);
        spent.push({ at: clock.now, tokens: account.tokens - before });
        if (how !== "broken_off") assert.ok(account.tokens - before <= one.read + one.written);
      };
      for (const step of all) {
        const one = "which" in step ? open[step.which % Math.max(1, open.length)] : undefined;
        try {
          if (step.do === "wait") clock.now += step.ms;
          else if (step.do === "settle") settle(step.which, step.how);
          else if (step.do === "open") {
            const cost = { promptTokens: step.prompt, ...(step.max === undefined ? {} : { maxTokens: step.max }) };
            const charge = account.open(most, cost);
            assert.ok(charge.maxTokens >= 1 && charge.maxTokens <= (step.max ?? Infinity));
            begun.push(clock.now);
            open.push({ charge, read: 0, written: 0, prompt: step.prompt });
          } else if (step.do === "read" && one !== undefined && one.read === 0) {
            one.charge.read(step.tokens);
            one.read = step.tokens;
          } else if (step.do === "write" && one !== undefined && one.read > 0) {
            one.written += step.tokens;
            one.charge.write(step.tokens);
          }
        } catch (error) {
          assert.ok(error instanceof ArkError && ["busy", "too_large"].includes(error.code), String(error));
        }
        const inMinute = begun.filter((at) => at > clock.now - MINUTE).length;
        const inDay = spent.filter(({ at }) => at > clock.now - DAY).reduce((sum, { tokens }) => sum + tokens, 0);
        assert.ok(inMinute <= rate, `${inMinute} requests`);
        assert.ok(inDay <= day, `${inDay} of ${day} tokens`);
        assert.ok(account.tokens >= inDay, "Nothing is forgotten before its time");
      }
      while (open.length > 0) settle(0, "failed");
      assert.equal(account.promised, 0);
      clock.now += DAY + HOUR;
      assert.deepEqual([account.tokens, account.blank], [0, true]);
    }),
    { numRuns: 1_000 },
  );
});
