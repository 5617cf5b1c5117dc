import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers";
import type { AuditRecord } from "@ark/node/audit";
import { generateIdentity } from "@ark/node/identity";
import {
  ALIVE_FRAME,
  ArkError,
  encodeErrorFrame,
  encodeEventFrame,
  ERROR_CODES,
  type InferenceEvent,
  type InferenceRequest,
  LIMITS,
  type Receipt,
} from "@ark/node/protocol";
import { PeerTable, RemoteBackend, type RemoteBackendOptions } from "@ark/node/routing";
import { Logger } from "@ark/node/telemetry";
import { asking, backendContract, question } from "../inference/backend_contract.ts";
import {
  type Answer,
  answerEvents,
  type Arrived,
  type AuditFixture,
  clientOf,
  DIGEST,
  openAudit,
  read,
  ScriptedPeer,
  tableOf,
  until,
} from "./scripted_peer.ts";

interface Scene extends AuditFixture {
  bob: ScriptedPeer;
  table: PeerTable;
  backend: RemoteBackend;
  log: string[];
  /** Outcome of each `end` in the audit log, after the reader has gone. */
  ends(): Promise<unknown[]>;
}

async function open(options: Partial<RemoteBackendOptions> = {}): Promise<Scene> {
  const fixture = await openAudit();
  const { audit } = fixture;
  const bob = new ScriptedPeer();
  const table = await tableOf([bob]);
  const log: string[] = [];
  const logger = new Logger({ write: (line) => log.push(line) });
  const client = { request: (_to: unknown, call: Parameters<ScriptedPeer["request"]>[0]) => bob.request(call) };
  const backend = new RemoteBackend({ peer: bob.peer, table, client, audit, logger, ...options });
  const ends = async () => (await audit.tail(100)).filter(({ kind }) => kind === "end").map(({ outcome }) => outcome);
  return { ...fixture, bob, table, backend, log, ends };
}

function test(name: string, body: (scene: Scene) => Promise<void>, options: Partial<RemoteBackendOptions> = {}): void {
  Deno.test(name, async () => {
    await using scene = await open(options);
    await body(scene);
  });
}

const HELLO = question("tiny:1b", "Hello there", { max_tokens: 3 });

function infer(
  { backend }: Pick<Scene, "backend">,
  signal = new AbortController().signal,
): AsyncGenerator<InferenceEvent> {
  return backend.infer(HELLO, asking({ signal }));
}

backendContract("of a peer", async () => {
  const scene = await open();
  scene.bob.onInfer = (arrived) => {
    const { model } = JSON.parse(arrived.body) as InferenceRequest;
    if (model === "tiny:1b") return { body: scene.bob.honest(arrived) };
    return { status: 404, body: [`{"error":{"code":"ark_model_not_found","message":"This node has no such model"}}`] };
  };
  return { backend: scene.backend, model: "tiny:1b", [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose]() };
});

test("RemoteBackend.infer() passes an honest answer on and records it on both ends", async (scene) => {
  const { bob, audit } = scene;
  const { events, error } = await read(infer(scene));
  assert.equal(error, null);
  assert.deepEqual(events, answerEvents("tiny:1b"));
  const [start, end] = await audit.tail(10);
  const common = { direction: "out", peer: bob.id, model: "tiny:1b" };
  assert.partialDeepStrictEqual(start, { ...common, kind: "start", outcome: null });
  assert.partialDeepStrictEqual(end, {
    ...common,
    kind: "end",
    outcome: "ok",
    digest: DIGEST,
    prompt_tokens: 2,
    completion_tokens: 3,
    request: bob.arrived[0]?.hash,
  });
  const lastFrame = new TextDecoder().decode(bob.honest(bob.arrived[0] ?? assert.fail()).at(-1));
  const signature = Uint8Array.fromBase64(JSON.parse(lastFrame.slice(lastFrame.indexOf("{"))).signature);
  assert.equal(end?.receipt, createHash("sha256").update(signature).digest("hex"));
  assert.ok((await audit.verify()).ok);
});

test("RemoteBackend.infer() reads the body to its end, so that the connection serves the next request", async (scene) => {
  await read(infer(scene));
  await read(infer(scene));
  assert.deepEqual(scene.bob.bodies, { finished: 2, cancelled: 0 });
});

test("RemoteBackend.infer() sends model, input and parameters, and nothing else", async ({ backend, bob, table }) => {
  const extra = { user: "ann", metadata: { session: "s-1" }, stream: true };
  const input = { kind: "completion", prompt: "Hi" } as const;
  const request = { ...HELLO, model: "TINY", input, ...extra } as InferenceRequest;
  await read(backend.infer(request, { ...asking({ principal: "secret" }), ...extra }));
  const [arrived] = bob.arrived;
  assert.ok(arrived);
  assert.deepEqual([arrived.method, arrived.path], ["POST", "/ark/v1/infer"]);
  assert.deepEqual(JSON.parse(arrived.body), { model: "tiny:1b", input, parameters: { max_tokens: 3 } });
  assert.equal(table.list()[0]?.inFlight, 0);
});

Deno.test("RemoteBackend.infer() has the request on its way before it puts the record together", async () => {
  await using fixture = await openAudit();
  const bob = new ScriptedPeer();
  const order: string[] = [];
  const append = (record: AuditRecord) => {
    order.push(record.kind);
    return fixture.audit.append(record);
  };
  const client = {
    request(...[to, call]: Parameters<ReturnType<typeof clientOf>["request"]>) {
      order.push(call.path);
      return clientOf([bob]).request(to, call);
    },
  };
  const backend = new RemoteBackend({ peer: bob.peer, table: await tableOf([bob]), client, audit: { append } });
  const { error } = await read(infer({ backend }));
  assert.deepEqual([error, order], [null, ["/ark/v1/infer", "start", "end"]]);
});

Deno.test("RemoteBackend.infer() gives nothing of an answer before the start is durable", async () => {
  await using fixture = await openAudit();
  const disk = Promise.withResolvers<void>();
  const append = async (record: AuditRecord) => {
    if (record.kind === "start") await disk.promise;
    return await fixture.audit.append(record);
  };
  await using scene = await open({ audit: { append } });
  const { bob } = scene;
  const left = Promise.withResolvers<void>();
  bob.onInfer = (arrived) => {
    left.resolve();
    return { body: bob.honest(arrived) };
  };
  const events = infer(scene);
  let given = 0;
  const first = events.next().finally(() => given++);
  await left.promise;
  // The whole answer has come long before this many turns of the event loop are over.
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(given, 0);
  disk.resolve();
  assert.equal((await first).value?.type, "start");
  const { events: rest, error } = await read(events);
  assert.deepEqual([rest, error], [answerEvents("tiny:1b").slice(1), null]);
  const lines = await fixture.audit.tail(10);
  assert.deepEqual(lines.map(({ kind, outcome }) => [kind, outcome]), [["start", null], ["end", "ok"]]);
});

Deno.test("RemoteBackend.infer() takes a request back and gives nothing when its start cannot be recorded", async () => {
  const kinds: string[] = [];
  const append = (record: AuditRecord) => {
    kinds.push(record.kind);
    return new Promise<never>((_, reject) =>
      setImmediate(() => reject(new ArkError("audit_unavailable", "The disk is full")))
    );
  };
  await using scene = await open({ audit: { append } });
  const { bob } = scene;
  // An answer that never comes: who asked has to leave.
  bob.onInfer = () => ({
    body: (async function* () {
      yield await new Promise<Uint8Array>(() => {});
    })(),
  });
  const { events, error } = await read(infer(scene));
  assert.deepEqual([events, error?.code, kinds], [[], "audit_unavailable", ["start"]]);
  assert.equal(scene.table.list()[0]?.inFlight, 0);
  // It is no fault of the peer's.
  assert.equal(scene.table.list()[0]?.state, "ready");
});

Deno.test("RemoteBackend.infer() sends nothing at all while nothing can be recorded", async () => {
  const append = () => Promise.reject(new ArkError("audit_unavailable", "The disk is full"));
  await using scene = await open({ audit: { append, fault: "The disk is full" } });
  const { events, error } = await read(infer(scene));
  assert.deepEqual([events, error?.code, scene.bob.arrived], [[], "audit_unavailable", []]);
  assert.equal(scene.table.list()[0]?.inFlight, 0);
});

for (const paused of [{}, { paused: true } as const]) {
  const what = paused.paused ? "paused" : "revoked";
  Deno.test(`RemoteBackend.infer() sends nothing to a peer that was ${what} while the start was recorded`, async () => {
    const bob = new ScriptedPeer();
    await using fixture = await openAudit();
    let approved = [bob.peer];
    const table = new PeerTable({
      approved: () => approved,
      addresses: () => [bob.address],
      client: clientOf([bob]),
      ownPort: () => 8911,
      logger: new Logger({ write() {} }),
    });
    const append = async (record: AuditRecord) => {
      if (record.kind === "start") approved = what === "paused" ? [{ ...bob.peer, ...paused }] : [];
      return await fixture.audit.append(record);
    };
    // After a failure of the disk the start is durable before anything is sent.
    const audit = { append, fault: "The disk was full" };
    const backend = new RemoteBackend({ peer: bob.peer, table, client: clientOf([bob]), audit });
    const { events, error } = await read(infer({ backend }));
    assert.deepEqual([events, error?.code, bob.arrived], [[], "unavailable", []]);
    const [, end] = await fixture.audit.tail(2);
    assert.equal(end?.outcome, "unavailable");
  });
}

for (const [what, honest] of [["an answer", true], ["an error", false]] as const) {
  Deno.test(`RemoteBackend.infer() hides ${what} behind no failure to record the end`, async () => {
    const kinds: string[] = [];
    await using fixture = await openAudit();
    const append = (record: AuditRecord) => {
      kinds.push(record.kind);
      if (record.kind === "end") return Promise.reject(new ArkError("audit_unavailable", "The disk is full"));
      return fixture.audit.append(record);
    };
    await using scene = await open({ audit: { append } });
    const busy = new ArkError("busy", "Later");
    if (!honest) scene.bob.onInfer = () => ({ body: [encodeErrorFrame(busy)] });
    const { events, error } = await read(infer(scene));
    if (honest) assert.deepEqual([events, error], [answerEvents("tiny:1b"), null]);
    else assert.deepEqual([events, error?.code], [[], "busy"]);
    assert.deepEqual(kinds, ["start", "end"]);
    assert.equal(scene.log.length, 1);
    assert.match(scene.log[0] ?? "", /end of a request to a peer could not be recorded.*The disk is full/);
  });
}

/** An answer that is wrong in one way, and how much of it may be seen. */
const LIES: Record<string, { seen: number; body: (bob: ScriptedPeer, arrived: Arrived) => Answer["body"] }> = {
  "no receipt": { seen: 4, body: (bob, arrived) => bob.honest(arrived).slice(0, -1) },
  "no end": { seen: 4, body: (bob, arrived) => bob.honest(arrived).slice(0, -2) },
  "nothing at all": { seen: 0, body: () => [] },
  "half a frame at the end": {
    seen: 4,
    body: (bob, arrived) => bob.honest(arrived).with(-1, new TextEncoder().encode("event: ark-receipt\ndata: {")),
  },
  "a receipt by another key": {
    seen: 4,
    body: (bob, { hash }) => {
      const events = answerEvents("tiny:1b");
      const frames = events.map(encodeEventFrame);
      return [...frames, bob.receiptFor(frames, { events, hash, by: generateIdentity() })];
    },
  },
  "a signature that is none": {
    seen: 4,
    body: (bob, arrived) => {
      const frame = new TextDecoder().decode(bob.honest(arrived).at(-1));
      return bob.honest(arrived).with(
        -1,
        new TextEncoder().encode(frame.replace(/"signature":"../, '"signature":"!!')),
      );
    },
  },
  "a short signature": {
    seen: 4,
    body: (bob, arrived) => {
      const frame = new TextDecoder().decode(bob.honest(arrived).at(-1));
      return bob.honest(arrived).with(
        -1,
        new TextEncoder().encode(frame.replace(/"signature":"...../, '"signature":"')),
      );
    },
  },
  "a receipt for another request": {
    seen: 4,
    body: (bob, arrived) => bob.signed(answerEvents("tiny:1b"), { ...arrived, lie: { request: "0".repeat(64) } }),
  },
  "a receipt for another stream": {
    seen: 4,
    body: (bob, arrived) => bob.signed(answerEvents("tiny:1b"), { ...arrived, lie: { stream: "0".repeat(64) } }),
  },
  ...Object.fromEntries(
    ([["model", "huge:70b"], ["digest", null], ["prompt_tokens", 9], ["completion_tokens", 9], [
      "finish_reason",
      "stop",
    ]] as [keyof Receipt, never][]).map(([field, value]) => [
      `a receipt with another ${field}`,
      {
        seen: 4,
        body: (bob: ScriptedPeer, arrived: Arrived) =>
          bob.signed(answerEvents("tiny:1b"), { ...arrived, lie: { [field]: value } }),
      },
    ]),
  ),
  "a text that the receipt does not cover": {
    seen: 5,
    body: (bob, arrived) => {
      const frames = bob.honest(arrived);
      return frames.toSpliced(2, 0, encodeEventFrame({ type: "text", text: "slipped in", tokens: 1 }));
    },
  },
  "a receipt before the end": {
    seen: 4,
    body: (bob, { hash }) => {
      const events = answerEvents("tiny:1b").slice(0, -1);
      return bob.signed(events, { hash });
    },
  },
  "text before the start": { seen: 0, body: (bob, arrived) => bob.honest(arrived).slice(1) },
  "an end before the start": { seen: 0, body: (bob, arrived) => bob.honest(arrived).slice(-2) },
  "a second start": {
    seen: 1,
    body: (bob, { hash }) => {
      const [start, ...rest] = answerEvents("tiny:1b");
      return start === undefined ? [] : bob.signed([start, start, ...rest], { hash });
    },
  },
  "text after the end": {
    seen: 4,
    body: (bob, { hash }) =>
      bob.signed([...answerEvents("tiny:1b"), { type: "text", text: "more", tokens: 1 }], { hash }),
  },
  "a second end": {
    seen: 4,
    body: (bob, { hash }) => bob.signed([...answerEvents("tiny:1b"), ...answerEvents("tiny:1b").slice(-1)], { hash }),
  },
  "something after its receipt": {
    seen: 4,
    body: (bob, arrived) => [...bob.honest(arrived), encodeEventFrame({ type: "text", text: "PS", tokens: 1 })],
  },
  "two receipts": { seen: 4, body: (bob, arrived) => [...bob.honest(arrived), ...bob.honest(arrived).slice(-1)] },
  "another model": { seen: 0, body: (bob, { hash }) => bob.signed(answerEvents("other:1b"), { hash }) },
  "an event of 256 KiB and more": {
    seen: 1,
    body: (bob, arrived) =>
      bob.honest(arrived).toSpliced(1, 0, encodeEventFrame({ type: "text", text: "x".repeat(1 << 18), tokens: 1 })),
  },
  "an endless frame": {
    seen: 1,
    *body(bob, arrived) {
      yield* bob.honest(arrived).slice(0, 1);
      for (;;) yield "x".repeat(1 << 16);
    },
  },
  "an endless answer": {
    seen: -1,
    *body(bob, arrived) {
      yield* bob.honest(arrived).slice(0, 1);
      for (;;) yield encodeEventFrame({ type: "text", text: "x".repeat(1 << 17), tokens: 0 });
    },
  },
  "garbage": { seen: 0, body: () => [crypto.getRandomValues(new Uint8Array(999)), "\n\n"] },
  "a page of HTML": { seen: 0, body: () => ["<html>\n\n</html>\n\n"] },
  "a digest that is none": {
    seen: 0,
    body: () => [`data: {"type":"start","model":"tiny:1b","digest":"x","prompt_tokens":1}\n\n`],
  },
};

for (const [what, { seen, body }] of Object.entries(LIES)) {
  test(`RemoteBackend.infer() refuses ${what}, and does not choose that peer again until it answered`, async (scene) => {
    const { bob, table, backend, ends } = scene;
    bob.onInfer = (arrived) => ({ body: body(bob, arrived) });
    const { events, error } = await read(infer(scene));
    assert.equal(error?.code, "unavailable");
    assert.match(error.message, /^(bob|The peer) /);
    if (seen >= 0) assert.equal(events.length, seen);
    assert.ok(events.every(({ type }) => type !== "end"));
    assert.deepEqual(await ends(), ["unavailable"]);
    assert.ok(!backend.handles("tiny:1b"));
    assert.equal(table.list()[0]?.inFlight, 0);
    await table.ask(bob.id, new AbortController().signal);
    assert.ok(backend.handles("tiny:1b"));
  });
}

test("RemoteBackend.infer() counts tokens without end, and records what can be recorded", async ({ bob, ...scene }) => {
  const most = Number.MAX_SAFE_INTEGER;
  const text = encodeEventFrame({ type: "text", text: "x", tokens: most });
  bob.onInfer = (arrived) => ({ body: [...bob.honest(arrived).slice(0, 1), text, text] });
  await read(infer(scene));
  const [, end] = await scene.audit.tail(2);
  assert.deepEqual([end?.outcome, end?.completion_tokens], ["unavailable", most]);
});

for (const code of ERROR_CODES) {
  // What is internal to the peer, or its own end, is to us that it is not available.
  const expected = code === "internal" || code === "cancelled" ? "unavailable" : code;
  test(`RemoteBackend.infer() makes ${expected} of a refusal with ark_${code}, before and within the stream`, async (scene) => {
    const { bob, backend, ends } = scene;
    const error = new ArkError(code, "This node\u001b[31m has\nits reasons");
    const body = JSON.stringify({ error: { code: `ark_${code}`, message: error.message } });
    bob.onInfer = () => ({ status: 429, headers: { "retry-after": "7" }, body: [body] });
    const before = await read(infer(scene));
    bob.onInfer = (arrived) => ({ body: [...bob.honest(arrived).slice(0, 2), encodeErrorFrame(error)] });
    const within = await read(infer(scene));
    for (const { error } of [before, within]) {
      assert.deepEqual([error?.code, error?.message], [expected, "bob answered: This node [31m has its reasons"]);
    }
    assert.deepEqual([before.error?.retryAfterSeconds, within.error?.retryAfterSeconds], [7, undefined]);
    assert.deepEqual([before.events.length, within.events.length], [0, 2]);
    assert.deepEqual(await ends(), [expected, expected]);
    assert.ok(backend.handles("tiny:1b"), "A peer that says no is there");
  });
}

for (
  const [what, answer] of [
    ["that is not JSON", { status: 502, body: ["<html>Bad gateway</html>"] }],
    ["without a body", { status: 500, body: [] }],
    ["that never ends", { status: 500, body: endless() }],
    ["of another shape", { status: 403, body: [`{"detail":"no"}`] }],
  ] as [string, Answer][]
) {
  test(`RemoteBackend.infer() makes unavailable of a refusal ${what}`, async (scene) => {
    scene.bob.onInfer = () => answer;
    const { events, error } = await read(infer(scene));
    assert.deepEqual([events, error?.code], [[], "unavailable"]);
    assert.deepEqual(await scene.ends(), ["unavailable"]);
  });
}

function* endless(): Generator<string> {
  for (;;) yield "x".repeat(1 << 16);
}

for (const code of ["unavailable", "unauthenticated", "clock", "cancelled"] as const) {
  test(`RemoteBackend.infer() says what is wrong when the request fails with ${code}`, async (scene) => {
    scene.bob.onInfer = () => Promise.reject(new ArkError(code, "The peer cannot be asked"));
    const { events, error } = await read(infer(scene));
    assert.deepEqual([events, error?.code], [[], code === "cancelled" ? "unavailable" : code]);
    assert.deepEqual(await scene.ends(), [error?.code]);
    assert.equal(scene.backend.handles("tiny:1b"), code === "unauthenticated" || code === "clock");
  });
}

test("RemoteBackend.infer() says that the connection was lost when it breaks in the middle", async (scene) => {
  const { bob } = scene;
  bob.onInfer = (arrived) => ({
    body: (async function* () {
      yield* bob.honest(arrived).slice(0, 2);
      throw new Error("ECONNRESET");
    })(),
  });
  const { events, error } = await read(infer(scene));
  assert.deepEqual([events.length, error?.code], [2, "unavailable"]);
  assert.equal(error?.message, "bob broke off: the connection was lost");
  assert.ok(!scene.backend.handles("tiny:1b"));
});

test(
  "RemoteBackend.infer() does not wait for a peer that falls silent, nor for one that drips bytes",
  async (scene) => {
    const { bob } = scene;
    for (const drip of [false, true]) {
      bob.onInfer = (arrived) => ({
        body: (async function* () {
          yield* bob.honest(arrived).slice(0, 2);
          while (drip) {
            yield "x";
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
          await new Promise(() => {});
        })(),
      });
      const { events, error } = await read(infer(scene));
      assert.deepEqual([events.length, error?.code, error?.message], [2, "unavailable", "bob fell silent for 0.05 s"]);
    }
    bob.onInfer = () => ({
      status: 500,
      body: (async function* () {
        yield "{";
        await new Promise(() => {});
      })(),
    });
    assert.equal((await read(infer(scene))).error?.code, "unavailable");
  },
  { silenceMs: 50 },
);

test("RemoteBackend.infer() waits for a peer that shows that it is alive", async (scene) => {
  const { bob } = scene;
  bob.onInfer = (arrived) => ({
    body: (async function* () {
      const events = answerEvents("tiny:1b");
      const frames = [
        ...events.slice(0, 1).map(encodeEventFrame),
        ...Array(12).fill(ALIVE_FRAME),
        ...events.slice(1).map(encodeEventFrame),
      ];
      for (const frame of frames) {
        yield frame;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      yield bob.receiptFor(frames, { events, hash: arrived.hash });
    })(),
  });
  const { events, error } = await read(infer(scene));
  assert.deepEqual([events, error], [answerEvents("tiny:1b"), null]);
}, { silenceMs: 250 });

test("RemoteBackend.infer() does not blame the peer for a reader that takes its time", async (scene) => {
  const events = infer(scene);
  for (let index = 0; index < 5; index++) {
    assert.ok(!(await events.next()).done);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  assert.ok((await events.next()).done);
  assert.deepEqual(await scene.ends(), ["ok"]);
}, { silenceMs: 30 });

test("RemoteBackend.infer() has its answer soon when the peer does not close after its receipt", async (scene) => {
  const { bob } = scene;
  bob.onInfer = (arrived) => ({
    body: (async function* () {
      yield* bob.honest(arrived);
      yield ALIVE_FRAME;
      await new Promise(() => {});
    })(),
  });
  const tooLate = new AbortController();
  const timer = setTimeout(() => tooLate.abort(), 10_000);
  assert.deepEqual(await read(infer(scene, tooLate.signal)), { events: answerEvents("tiny:1b"), error: null });
  clearTimeout(timer);
  assert.ok(!tooLate.signal.aborted);
  assert.ok(scene.backend.handles("tiny:1b"));
}, { silenceMs: 3_600_000 });

test("RemoteBackend.infer() has its answer when the connection breaks after the receipt", async (scene) => {
  const { bob } = scene;
  bob.onInfer = (arrived) => ({
    body: (async function* () {
      yield* bob.honest(arrived);
      throw new Error("ECONNRESET");
    })(),
  });
  assert.deepEqual(await read(infer(scene)), { events: answerEvents("tiny:1b"), error: null });
  assert.ok(scene.backend.handles("tiny:1b"));
});

for (const [at, outcome] of [["start", "cancelled"], ["text", "cancelled"], ["end", "ok"]] as const) {
  test(`RemoteBackend.infer() records ${outcome} when the reader leaves at ${at}, and hangs up`, async (scene) => {
    for await (const event of infer(scene)) if (event.type === at) break;
    assert.deepEqual(await scene.ends(), [outcome]);
    assert.equal(scene.bob.bodies.cancelled, at === "end" ? 0 : 1);
    assert.deepEqual([scene.table.list()[0]?.inFlight, scene.backend.handles("tiny:1b")], [0, true]);
  });

  test(`RemoteBackend.infer() records ${outcome} when the signal fires at ${at}, also if nobody reads on`, async (scene) => {
    const controller = new AbortController();
    const events = infer(scene, controller.signal);
    while ((await events.next()).value?.type !== at);
    assert.equal(scene.table.list()[0]?.inFlight, 1);
    controller.abort();
    await until(async () => (await scene.ends()).length === 1);
    assert.deepEqual(await scene.ends(), [outcome]);
    assert.equal(scene.table.list()[0]?.inFlight, 0);
    const rest = await read(events);
    assert.deepEqual([rest.events, rest.error?.code ?? "ok"], [[], outcome]);
    assert.deepEqual(await scene.ends(), [outcome]);
    assert.ok(scene.backend.handles("tiny:1b"), "Our own hanging up is not the peer's fault");
  });
}

test("RemoteBackend.infer() records and sends nothing when the signal has fired before", async (scene) => {
  const { events, error } = await read(infer(scene, AbortSignal.abort()));
  assert.deepEqual([events, error?.code, scene.bob.arrived], [[], "cancelled", []]);
  assert.deepEqual(await scene.audit.tail(1), []);
});

test("RemoteBackend.infer() records the end when the signal fires while the peer is asked", async (scene) => {
  const controller = new AbortController();
  scene.bob.onInfer = () => {
    controller.abort();
    return Promise.reject(new ArkError("unavailable", "The connection to the peer was lost"));
  };
  const { error } = await read(infer(scene, controller.signal));
  assert.equal(error?.code, "cancelled");
  assert.deepEqual(await scene.ends(), ["cancelled"]);
  assert.ok(scene.backend.handles("tiny:1b"));
});

test("RemoteBackend.infer() does nothing before it is asked for an event", async (scene) => {
  infer(scene);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual([scene.bob.arrived, await scene.audit.tail(1)], [[], []]);
});

test("RemoteBackend.infer() refuses what a peer would not take, and sends nothing", async ({ backend, bob, audit }) => {
  const { error } = await read(backend.infer(question("tiny:1b", "x".repeat(LIMITS.requestBodyBytes)), asking()));
  assert.deepEqual([error?.code, bob.arrived, await audit.tail(1)], ["too_large", [], []]);
});

test("RemoteBackend.infer() keeps prompt and answer out of audit log, log and errors", async (scene) => {
  const { bob, backend, file, log } = scene;
  const canary = "canary-7f3a";
  const ask = () => read(backend.infer(question("tiny:1b", canary, { stop: [canary] }), asking()));
  bob.onInfer = (arrived) => ({
    body: bob.honest(arrived).toSpliced(1, 1, encodeEventFrame({ type: "text", text: canary, tokens: 1 })),
  });
  const lied = await ask();
  bob.onInfer = () => ({ body: [`data: {"${canary}"}\n\n`] });
  const garbled = await ask();
  for (const { error } of [lied, garbled]) assert.ok(error !== null && !error.message.includes(canary), error?.message);
  assert.ok(!(await Deno.readTextFile(file)).includes(canary));
  assert.ok(log.every((line) => !line.includes(canary)));
});

test("A peer that refuses a request as busy counts as full from then on, for as long as it said", async (scene) => {
  const { bob, table } = scene;
  const body = JSON.stringify({ error: { code: "ark_busy", message: "Full" } });
  bob.onInfer = () => ({ status: 429, headers: { "retry-after": "600" }, body: [body] });
  assert.equal(table.offering("tiny:1b")[0]?.view.freeSlots, 2);
  const { error } = await read(infer(scene));
  assert.equal(error?.retryAfterSeconds, 600);
  assert.equal(table.offering("tiny:1b")[0]?.view.freeSlots, 0);
});

test("A request counts as running at its peer before it is recorded, so that others see it at once", async (scene) => {
  const answer = infer(scene);
  const first = answer.next();
  assert.equal(scene.table.list()[0]?.inFlight, 1);
  await first;
  await answer.return(undefined);
  assert.equal(scene.table.list()[0]?.inFlight, 0);
});

test("RemoteBackend.infer() gives the same parts by the short way, in their order, and the same receipt", async (scene) => {
  const [start, ...rest] = answerEvents("tiny:1b", { prompt_tokens: 2, words: 40 });
  const odd: InferenceEvent = { type: "text", text: 'ü "\n', tokens: 0, ids: [] };
  const told = start === undefined ? [] : [start, odd, ...rest];
  scene.bob.onInfer = ({ hash }) => ({ body: scene.bob.signed(told, { hash }) });
  const events: InferenceEvent[] = [];
  let taken = 0;
  const direct = {
    open: false,
    take(parts: readonly InferenceEvent[]) {
      taken += parts.length;
      events.push(...parts);
      return taken % 7 === 0 ? new Promise<void>((resolve) => setTimeout(resolve)) : null;
    },
  };
  for await (const event of scene.backend.infer(HELLO, { ...asking(), direct })) {
    events.push(event);
    direct.open = true;
  }
  const read = await Array.fromAsync(infer(scene));
  assert.ok(taken > 20);
  assert.deepEqual(events, read);
  assert.deepEqual(await scene.ends(), ["ok", "ok"]);
});

test("RemoteBackend.infer() refuses by the short way what was not asked for, after what came before it", async (scene) => {
  const start = { type: "start", model: "tiny:1b", digest: DIGEST, prompt_tokens: 1 } as const;
  const text = { type: "text", text: "a", tokens: 1 } as const;
  const call = { type: "tool_call", index: 0, id: "c", name: "f", tokens: 1 } as const;
  scene.bob.onInfer = () => ({ body: [start, text, text, call].map(encodeEventFrame) });
  const shown: InferenceEvent[] = [];
  const direct = { open: false, take: (parts: readonly InferenceEvent[]) => (shown.push(...parts), null) };
  await assert.rejects(async () => {
    for await (const event of scene.backend.infer(HELLO, { ...asking(), direct })) {
      shown.push(event);
      direct.open = true;
    }
  }, { code: "unavailable" });
  assert.deepEqual(shown, [start, text, text]);
  assert.deepEqual(await scene.ends(), ["unavailable"]);
});
