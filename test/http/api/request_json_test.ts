import assert from "node:assert/strict";
import { ArkError } from "@ark/node/protocol";
import { readJson } from "../../../src/http/api/request_json.ts";

function post(body: BodyInit, headers: Record<string, string> = { "content-type": "application/json" }): Request {
  return new Request("http://127.0.0.1/", { method: "POST", body, headers });
}

async function refusal(request: Request, limit = 1_000): Promise<{ code: string; status: unknown; message: string }> {
  try {
    await readJson(request, limit);
  } catch (error) {
    assert.ok(error instanceof ArkError);
    return { code: error.code, status: "status" in error ? error.status : null, message: error.message };
  }
  throw new Error("It was read");
}

Deno.test("readJson() reads application/json, with parameters and in any case", async () => {
  for (const type of ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=UTF-8"]) {
    assert.deepEqual(await readJson(post('{"a":"ä"}', { "content-type": type }), 100), { a: "ä" });
  }
});

Deno.test("readJson() refuses every type that a page of another site could send unasked, and encoded bodies", async () => {
  const types = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""];
  for (const type of types) assert.equal((await refusal(post("{}", { "content-type": type }))).status, 415, type);
  assert.equal((await refusal(post(new Uint8Array([123, 125]), {}))).status, 415);
  const packed = post("{}", { "content-type": "application/json", "content-encoding": "gzip" });
  assert.equal((await refusal(packed)).status, 415);
});

Deno.test("readJson() counts bytes while it reads, and lets go of the rest", async () => {
  let cancelled = false;
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(400).fill(32)) ?? void pulled++,
    cancel: () => void (cancelled = true),
  });
  const { code, status } = await refusal(post(endless));
  assert.deepEqual({ code, status }, { code: "too_large", status: 413 });
  assert.ok(cancelled && pulled < 6);
  assert.equal(await readJson(post(`"${"x".repeat(998)}"`), 1_000), "x".repeat(998));
  assert.equal((await refusal(post(`"${"x".repeat(999)}"`))).status, 413);
});

Deno.test("readJson() refuses a stated length over the limit before it reads", async () => {
  const request = post("{}", { "content-type": "application/json", "content-length": "1001" });
  assert.equal((await refusal(request)).status, 413);
  assert.ok(!request.bodyUsed);
});

Deno.test("readJson() never quotes the body it cannot read", async () => {
  for (const text of ['{"prompt": canary}', "canary", "", '{"a":1}x', '{"a":']) {
    const { code, status, message } = await refusal(post(text));
    assert.deepEqual({ code, status }, { code: "bad_request", status: 400 });
    assert.doesNotMatch(message, /canary/);
  }
  assert.equal((await refusal(post(new Uint8Array([34, 0xff, 34])))).status, 400);
  const empty = new Request("http://127.0.0.1/", { method: "POST", headers: { "content-type": "application/json" } });
  assert.equal((await refusal(empty)).status, 400);
});

Deno.test("readJson() joins bytes of a character that arrive apart", async () => {
  const bytes = new TextEncoder().encode('"ä€😀"');
  const body = ReadableStream.from([...bytes].map((byte) => new Uint8Array([byte])));
  assert.equal(await readJson(post(body as ReadableStream<Uint8Array>), 100), "ä€😀");
});

Deno.test("readJson() survives depth and keys of prototypes", async () => {
  const deep = "[".repeat(1_000_000) + "]".repeat(1_000_000);
  assert.ok(Array.isArray(await readJson(post(deep), 1 << 24)));
  const value = await readJson(
    post('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
    1_000,
  );
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  assert.equal((value as { polluted?: boolean }).polluted, undefined);
});

Deno.test("readJson() says that the caller went away when the body breaks off", async () => {
  const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error("reset")) });
  assert.equal((await refusal(post(broken))).code, "cancelled");
});
