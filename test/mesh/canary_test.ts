import assert from "node:assert/strict";
import { until } from "../inference/local_fixture.ts";
import { cleanEnvironment, NodeProcess } from "../support/node_process.ts";
import { FIXTURES, MODEL } from "./test_node.ts";

/** Every file below a folder, as text in which each byte is one character. */
async function* filesIn(directory: string): AsyncGenerator<[string, string]> {
  for await (const entry of Deno.readDir(directory)) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) yield* filesIn(path);
    else if (entry.isFile) yield [path, new TextDecoder("latin1").decode(await Deno.readFile(path))];
  }
}

/** Finds a text, also in base64 and hex: a leak may be encoded. */
function holds(where: string, canary: string): boolean {
  const bytes = new TextEncoder().encode(canary);
  // Base64 of a part in the middle of other text begins at one of three offsets; inner characters stay the same.
  const encodings = [0, 1, 2].map((skip) => bytes.subarray(skip, skip + 12).toBase64());
  return [canary, bytes.toHex(), ...encodings].some((text) => where.includes(text));
}

/** Longer in the long form: T33's table wants ten thousand mixed requests. */
const ROUNDS = Deno.env.get("ARK_LONG") === "1" ? 400 : 1;

/** A way to send a text: a path with its query, headers, and a body. */
interface Place {
  path?: string;
  headers?: Record<string, string>;
  body: unknown;
}

/** Places of a request in which a secret may stand. The name of a model is none: it is recorded, since owners want that. */
function placesOf(canary: string): Record<string, Place> {
  const chat = (fields: Record<string, unknown>): Place => ({
    body: { model: MODEL, max_tokens: 2, messages: [{ role: "user", content: "Hello" }], ...fields },
  });
  const said = (message: Record<string, unknown>) =>
    chat({ messages: [{ role: "user", content: "Hello", ...message }] });
  return {
    "prompt": chat({ messages: [{ role: "user", content: canary }] }),
    "streamed prompt": chat({ messages: [{ role: "user", content: canary }], stream: true }),
    "system prompt": chat({ messages: [{ role: "system", content: canary }, { role: "user", content: "Hello" }] }),
    "assistant's turn": chat({ messages: [{ role: "user", content: "a" }, { role: "assistant", content: canary }] }),
    "part of a content": said({ content: [{ type: "text", text: canary }] }),
    "kind of a part": said({ content: [{ type: canary, text: "a" }] }),
    "image of a part": said({ content: [{ type: "image_url", image_url: { url: `http://a/${canary}.png` } }] }),
    "role": said({ role: canary }),
    "name of a speaker": said({ name: canary }),
    "tool call of a message": said({ tool_calls: [{ id: canary, type: "function", function: { name: canary } }] }),
    "stop text": chat({ stop: [canary] }),
    "stop text that is too long": chat({ stop: [canary.repeat(99)] }),
    "user": chat({ user: canary }),
    "metadata": chat({ metadata: { note: canary }, safety_identifier: canary, prompt_cache_key: canary }),
    "name of a field": chat({ [canary]: canary }),
    "name of a tool": chat({ tools: [{ type: "function", function: { name: canary, description: canary } }] }),
    "choice of a tool": chat({ tool_choice: canary }),
    "form of the answer": chat({ response_format: { type: "json_schema", json_schema: { name: canary } } }),
    "bias": chat({ logit_bias: { [canary]: 1 } }),
    "number": chat({ temperature: canary }),
    "header": {
      ...chat({}),
      headers: { "x-canary": canary, "user-agent": canary, "authorization": `Bearer ${canary}` },
    },
    "cookie and referer": { ...chat({}), headers: { cookie: `session=${canary}`, referer: `http://a/${canary}` } },
    "query": { ...chat({}), path: `/v1/chat/completions?secret=${canary}` },
    "path": { ...chat({}), path: `/v1/${canary}` },
    "type of the body": { ...chat({}), headers: { "content-type": `text/${canary}` } },
    "raw prompt": { path: "/v1/completions", body: { model: MODEL, prompt: canary, max_tokens: 2, user: canary } },
    "suffix": { path: "/v1/completions", body: { model: MODEL, prompt: canary, suffix: canary } },
    "broken JSON": { body: `{"messages": "${canary}"` },
    "list in the place of an object": { body: [canary] },
    "prompt beyond the context": chat({ messages: [{ role: "user", content: `${canary} `.repeat(2_000) }] }),
    "body beyond the limit": chat({ messages: [{ role: "user", content: canary.repeat(200_000) }] }),
    "prompt for nobody": chat({ model: "nobody", messages: [{ role: "user", content: canary }] }),
  };
}

Deno.test("T33: A random text in thirty places of a request is in no file, log, metric or audit entry of either node", async () => {
  const canary = `canary-${crypto.randomUUID()}`;
  const temporary = await Deno.makeTempDir({ prefix: "ark-canary-" });
  const options = { env: { ...cleanEnvironment(), TMPDIR: temporary }, args: ["--no-mdns", "--log-level", "debug"] };
  {
    await using b = await NodeProcess.start({ name: "B", ...options, args: [...options.args, "--models", FIXTURES] });
    await using a = await NodeProcess.start({ name: "A", ...options, args: [...options.args, "--peer", b.ready.mesh] });
    await b.json("peers", "approve", a.ready.public_key);
    await a.json("peers", "approve", b.ready.public_key);
    await until(async () => (await a.json<{ models: unknown[] }>("models")).models.length > 0);

    const send = ({ path = "/v1/chat/completions", headers = {}, body }: Place, signal?: AbortSignal) =>
      fetch(a.ready.api + path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
        ...(signal === undefined ? {} : { signal }),
      });
    const places = placesOf(canary);
    const statuses = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, place] of Object.entries(places)) {
        const response = await send(place);
        statuses.set(name, response.status);
        await response.text();
      }
    }
    // Both happened: prompts that were answered by the other node, and every kind of refusal.
    assert.equal(statuses.get("prompt"), 200);
    assert.equal(statuses.get("broken JSON"), 400);
    assert.equal(statuses.get("body beyond the limit"), 413);
    assert.equal(statuses.get("prompt for nobody"), 404);
    assert.ok(new Set(statuses.values()).size >= 4, JSON.stringify([...statuses]));

    // One who goes away while it is answered, and an engine that is killed while it answers.
    const long = { body: { model: MODEL, stream: true, messages: [{ role: "user", content: canary }] } };
    const leave = new AbortController();
    const left = await send(long, leave.signal);
    await left.body?.getReader().read();
    leave.abort();
    // An answer may be over before its engine is killed.
    let cut = false;
    for (let attempt = 0; attempt < 20 && !cut; attempt++) cut = await cutOff(await send(long), b);
    if (Deno.build.os === "linux") assert.ok(cut, "No engine was killed while it answered");

    for (const node of [a, b]) {
      const metrics = await (await fetch(`${node.ready.api}/metrics`)).text();
      assert.match(metrics, /ark_requests_total/);
      assert.ok(!holds(metrics, canary), "metrics");
      const exported = await node.cli("audit", "export");
      assert.match(exported.stdout, /"kind":"end"/);
      assert.ok(!holds(exported.stdout, canary), "audit export");
      for (const command of ["status", "peers", "models", "grid", "requests"]) {
        assert.ok(!holds((await node.cli(command, "--json")).stdout, canary), command);
      }
      assert.match(node.log, /\n/);
      assert.ok(!holds(node.log, canary), "log");
      let files = 0;
      for await (const [path, text] of filesIn(node.ready.data)) {
        files++;
        assert.ok(!holds(text, canary), path);
      }
      assert.ok(files >= 5, "There are a key, a token, a database, an audit log and the approved peers");
    }
  }
  for await (const [path, text] of filesIn(temporary)) assert.ok(!holds(text, canary), path);
  // A core file lies where the process ran.
  for await (const { name } of Deno.readDir(".")) assert.doesNotMatch(name, /^core(\.|$)/);
  await Deno.remove(temporary, { recursive: true });
});

/** Kills the engines of the node that answers when the answer has begun, and returns whether that broke it off. */
async function cutOff(answer: Response, by: NodeProcess): Promise<boolean> {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  await reader?.read();
  for (const pid of await enginesOf(by.ready.pid)) Deno.kill(pid, "SIGABRT");
  let rest = "";
  for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) rest += next.value;
  return answer.status === 200 && /error/.test(rest);
}

/** Process ids of the engines of a node, on Linux. */
async function enginesOf(pid: number): Promise<number[]> {
  if (Deno.build.os !== "linux") return [];
  const tasks = await Array.fromAsync(Deno.readDir(`/proc/${pid}/task`), ({ name }) => name);
  const texts = await Promise.all(tasks.map((task) => Deno.readTextFile(`/proc/${pid}/task/${task}/children`)));
  return texts.join(" ").split(" ").filter(Boolean).map(Number);
}

Deno.test("The search for the canary finds it where it is, also encoded", () => {
  const canary = `canary-${crypto.randomUUID()}`;
  for (
    const text of [
      canary,
      btoa(canary),
      btoa(`x${canary}`),
      btoa(`xy${canary}`),
      new TextEncoder().encode(canary).toHex(),
    ]
  ) {
    assert.ok(holds(`before ${text} after`, canary), text);
  }
  assert.ok(!holds("nothing", canary));
});
