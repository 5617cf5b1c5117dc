/** How a peer's question is recognised, and that no engine hears of it before its start is on the record. */
import assert from "node:assert/strict";
import type { AuditEntry } from "@ark/node/audit";
import { Denials, type MeshApp, meshApp } from "@ark/node/http";
import { formatPublicKey, generateIdentity, type NodeId } from "@ark/node/identity";
import type { Backend } from "@ark/node/inference";
import { type ApprovedPeer, decodeApproval, Gate, Usage } from "@ark/node/peers";
import { ArkError, type InferenceEvent } from "@ark/node/protocol";
import { Events, Logger, Metrics } from "@ark/node/telemetry";
import type { Caller } from "@ark/node/transport";
import { fakeModel } from "../inference/local_fixture.ts";

const BODY = JSON.stringify({
  model: "fake",
  input: { kind: "completion", prompt: "a" },
  parameters: { max_tokens: 1 },
});

/** An engine that tells whenever it is asked. */
class HeardBackend implements Backend {
  readonly name = "heard";
  asked = 0;

  handles(): boolean {
    return true;
  }

  async *infer(): AsyncGenerator<InferenceEvent> {
    this.asked++;
    await Promise.resolve();
    yield { type: "start", model: "fake", digest: null, prompt_tokens: 1 };
  }
}

function appWith(append: () => Promise<AuditEntry>): { app: MeshApp; backend: HeardBackend; caller: Caller } {
  const peer = generateIdentity();
  const book = new Map<NodeId, ApprovedPeer>();
  const permissions = { can_request_inference: true, models_shared: ["*"] };
  const approval = { public_key: formatPublicKey(peer.publicKey), permissions };
  book.set(peer.id, decodeApproval(approval, new Date().toISOString()));
  const logger = new Logger({ write() {} });
  const backend = new HeardBackend();
  const app = meshApp({
    identity: generateIdentity(),
    name: "N",
    peers: book,
    gate: new Gate(book, new Usage()),
    audit: { append },
    denials: new Denials({
      audit: { append },
      counter: new Metrics().counter("denials_total", "Denials.", ["code"]),
      logger,
    }),
    engine: {
      backend: Object.assign(backend, { loaded: () => [] }),
      catalogue: { find: (ref) => fakeModel(ref), list: () => [fakeModel("fake")] },
    },
    contextSize: 1_000,
    accepting: () => true,
    asked() {},
    logger,
    events: new Events(),
  });
  const { id: nodeId, publicKey } = peer;
  const caller = { nodeId, publicKey, signature: "ab".repeat(32), remote: "127.0.0.1", deadlineMs: 60_000 };
  return { app, backend, caller };
}

Deno.test("meshApp() takes for a question what has that very path, with a query or without, and nothing else", async () => {
  const { app, backend, caller } = appWith(() => Promise.resolve({ seq: 1 } as AuditEntry));
  const ask = (path: string, method = "POST") => {
    const init = method === "POST" ? { method, body: BODY } : { method };
    return app.fetch(new Request(`https://n${path}`, init), caller);
  };
  for (const path of ["/ark/v1/infer", "/ark/v1/infer?", "/ark/v1/infer?traceparent=none"]) {
    const before = backend.asked;
    const response = await ask(path);
    assert.equal(response.status, 200, path);
    await response.text();
    assert.equal(backend.asked, before + 1, path);
  }
  const others = ["/ark/v1/inference", "/ark/v1/infer/", "/x/ark/v1/infer", "/?x=/ark/v1/infer", "/ark/v1/infer%3F"];
  for (const path of [...others, "/ark/v1/infe", "/"]) assert.equal((await ask(path)).status, 400, path);
  assert.equal((await ask("/ark/v1/infer", "GET")).status, 400);
  assert.equal(backend.asked, 3);
});

Deno.test("meshApp() asks no engine before the start of a question is durable, and none where it cannot be recorded", async () => {
  let durable = Promise.withResolvers<AuditEntry>();
  const { app, backend, caller } = appWith(() => durable.promise);
  const ask = () => app.fetch(new Request("https://n/ark/v1/infer", { method: "POST", body: BODY }), caller);
  const answered = ask();
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(backend.asked, 0);
  durable.resolve({ seq: 1 } as AuditEntry);
  const response = await answered;
  assert.deepEqual([response.status, backend.asked], [200, 1]);
  await response.text();
  durable = Promise.withResolvers();
  durable.promise.catch(() => {});
  durable.reject(new ArkError("audit_unavailable", "The disk takes nothing"));
  assert.equal((await ask()).status, 503);
  assert.equal(backend.asked, 1);
});
