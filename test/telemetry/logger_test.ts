import assert from "node:assert/strict";
import fc from "fast-check";
import { type LogFields, Logger, type LoggerOptions } from "@ark/node/telemetry";

const TIME = "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z";

function logged(options: LoggerOptions, log: (logger: Logger) => void): string[] {
  const lines: string[] = [];
  log(new Logger({ ...options, write: (line) => lines.push(line) }));
  return lines;
}

Deno.test("Logger writes a line of time, level, message and fields for people", () => {
  const [line] = logged({}, (logger) => logger.info("Peer asked", { ms: 1.23456, peer: "abc", reason: "two words" }));
  assert.match(line ?? "", new RegExp(`^${TIME} INFO  Peer asked peer=abc reason="two words" ms=1\\.235$`));
});

Deno.test("Logger writes one JSON object a line for programs", () => {
  const [line] = logged({ format: "json" }, (logger) => logger.warn("Slow disk", { ms: 12, path: "/data/a b" }));
  const { time, ...rest } = JSON.parse(line ?? "");
  assert.match(time, new RegExp(`^${TIME}$`));
  assert.deepEqual(rest, { level: "warn", message: "Slow disk", path: "/data/a b", ms: 12 });
});

Deno.test("Logger writes only what is urgent enough", () => {
  function all(logger: Logger): void {
    logger.debug("d");
    logger.info("i");
    logger.warn("w");
    logger.error("e");
  }
  const levels = (options: LoggerOptions) =>
    logged({ ...options, format: "json" }, all).map((line) => JSON.parse(line).level);
  assert.deepEqual(levels({}), ["info", "warn", "error"]);
  assert.deepEqual(levels({ level: "debug" }), ["debug", "info", "warn", "error"]);
  assert.deepEqual(levels({ level: "error" }), ["error"]);
});

Deno.test("Logger drops unknown fields, values of the wrong kind and what a prototype brings along", () => {
  const canary = "CANARY the prompt";
  const fields = Object.assign(Object.create({ model: canary }), {
    prompt: canary,
    messages: [{ content: canary }],
    peer: { toString: () => canary },
    tokens: canary,
    ms: NaN,
    count: 3,
    __proto__: null,
  }) as LogFields;
  for (const format of ["text", "json"] as const) {
    const [line] = logged({ format }, (logger) => logger.info("Request", fields));
    assert.doesNotMatch(line ?? "", /CANARY/);
    assert.match(line ?? "", /count\W+3/);
    assert.doesNotMatch(line ?? "", /peer|tokens|ms\W/);
  }
});

Deno.test("Logger keeps one line whatever names hold, and quotes what could be taken for another field", () => {
  const [line] = logged({}, (logger) => logger.info("A\nB", { model: "x\r\n2026 ERROR forged", peer: 'a" code="ok' }));
  assert.match(line ?? "", /A\\u000aB peer="a\\" code=\\"ok" model="x\\\\u000d\\\\u000a2026 ERROR forged"$/);
});

Deno.test("Logger writes parsable lines without raw escapes for 5,000 nasty strings", () => {
  const nasty = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.string({ unit: fc.constantFrom(...'\r\n\u001b\u202e\u2066"\\ ={}ab'), maxLength: 40 }),
  );
  fc.assert(
    fc.property(nasty, nasty, (message, model) => {
      for (const format of ["text", "json"] as const) {
        const lines = logged({ format }, (logger) => logger.info(message, { model, peer: model }));
        assert.equal(lines.length, 1);
        assert.doesNotMatch(lines[0] ?? "", /[\p{C}\p{Zl}\p{Zp}]/u);
        if (format === "json") assert.deepEqual(Object.keys(JSON.parse(lines[0] ?? "")).length, 5);
      }
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("Logger bounds the length of messages and values", () => {
  const [line] = logged({}, (logger) => logger.error("m".repeat(1e6), { reason: "r".repeat(1e6) }));
  assert.ok((line ?? "").length < 2_000);
});

Deno.test("Logger writes to standard error by default and outlives its reader", async () => {
  const script = `import { Logger } from "@ark/node/telemetry";
    const logger = new Logger();
    for (let index = 0; index < 20000; index++) logger.info("Line", { count: index });
    console.log("alive");`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stderr.getReader();
  const first = new TextDecoder().decode((await reader.read()).value);
  await reader.cancel();
  assert.match(first, /INFO {2}Line count=0/);
  assert.equal((await new Response(child.stdout).text()).trim(), "alive");
  assert.equal((await child.status).code, 0);
});
