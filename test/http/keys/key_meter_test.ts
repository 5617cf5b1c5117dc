import assert from "node:assert/strict";
import fc from "fast-check";
import { KeyMeter } from "../../../src/http/keys/key_meter.ts";

const TERMS = {
  models: ["*"],
  max_requests_per_minute: null,
  max_tokens_per_day: null,
  max_concurrent_requests: null,
  local_only: false,
};

Deno.test("KeyMeter.admit() gives places back when a question is over, however often it is disposed of", () => {
  const meter = new KeyMeter({ ...TERMS, max_concurrent_requests: 2 }, () => 0);
  const [first] = [meter.admit(), meter.admit()];
  assert.throws(() => meter.admit(), { code: "busy", message: /two|2 questions at a time; try again in 1 second/ });
  first?.[Symbol.dispose]();
  first?.[Symbol.dispose]();
  meter.admit();
  assert.throws(() => meter.admit(), { code: "busy" });
});

Deno.test("KeyMeter.admit() lets no more questions begin in a minute than the key has, and says when to come back", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 20 }),
    fc.array(fc.integer({ min: 0, max: 30_000 }), { minLength: 1, maxLength: 200 }),
    (most, gaps) => {
      let now = 1_000;
      const meter = new KeyMeter({ ...TERMS, max_requests_per_minute: most }, () => now);
      const admitted: number[] = [];
      for (const gap of gaps) {
        now += gap;
        try {
          meter.admit()[Symbol.dispose]();
          admitted.push(now);
        } catch (error) {
          const { code, retryAfterSeconds = 0 } = error as { code: string; retryAfterSeconds?: number };
          assert.equal(code, "busy");
          assert.ok(retryAfterSeconds >= 1 && retryAfterSeconds <= 60);
        }
      }
      // A burst of `most` and what refills in the minute.
      for (const from of admitted) {
        assert.ok(admitted.filter((at) => at >= from && at < from + 60_000).length <= 2 * most);
      }
    },
  ));
});

Deno.test("KeyMeter counts the tokens of a day by a clock of its own, and begins anew after it", () => {
  let now = 0;
  const meter = new KeyMeter({ ...TERMS, max_tokens_per_day: 10 }, () => now);
  const lease = meter.admit();
  assert.equal(lease.tokensLeft, 10);
  assert.ok(lease.spend(9));
  assert.equal(meter.admit().tokensLeft, 1);
  assert.ok(!lease.spend(2));
  assert.throws(() => meter.admit(), { code: "busy", message: /10 tokens of the day; try again in 24 hours/ });
  now = 86_399_000;
  assert.throws(() => meter.admit(), { code: "busy", message: /try again in 1 second/ });
  now = 86_400_000;
  assert.equal(meter.admit().tokensLeft, 10);
  assert.deepEqual(meter.day, { tokens: 0, sinceMs: 0 });
});
