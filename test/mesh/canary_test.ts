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

Deno.test("A random text of a prompt is in no file, log, metric or audit entry of either node", async () => {
  const canary = `canary-${crypto.randomUUID()}`;
  const temporary = await Deno.makeTempDir({ prefix: "ark-canary-" });
  const options = { env: { ...cleanEnvironment(), TMPDIR: temporary }, args: ["--no-mdns", "--log-level", "debug"] };
  {
    await using b = await NodeProcess.start({ name: "B", ...options, args: [...options.args, "--models", FIXTURES] });
    await using a = await NodeProcess.start({ name: "A", ...options, args: [...options.args, "--peer", b.ready.mesh] });
    await b.json("peers", "approve", a.ready.public_key);
    await a.json("peers", "approve", b.ready.public_key);
    await until(async () => (await a.json<{ models: unknown[] }>("models")).models.length > 0);

    const ask = (body: Record<string, unknown>) =>
      fetch(`${a.ready.api}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: MODEL, max_tokens: 8, messages: [{ role: "user", content: canary }], ...body }),
      });
    const answered = await ask({});
    assert.equal(answered.status, 200);
    await answered.body?.cancel();
    const streamed = await ask({ stream: true });
    assert.match(await streamed.text(), /\[DONE\]/);
    // Ways in which an error could quote what it was given.
    for (
      const wrong of [{ stop: [canary.repeat(9)] }, { [canary]: canary }, {
        messages: [{ role: canary, content: canary }],
      }, { model: "nobody" }]
    ) {
      await (await ask(wrong)).body?.cancel();
    }
    await fetch(`${a.ready.api}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"messages": "${canary}"`,
    }).then((response) => response.body?.cancel());

    for (const node of [a, b]) {
      const metrics = await (await fetch(`${node.ready.api}/metrics`)).text();
      assert.match(metrics, /ark_requests_total/);
      assert.ok(!holds(metrics, canary), "metrics");
      const exported = await node.cli("audit", "export");
      assert.match(exported.stdout, /"kind":"end"/);
      assert.ok(!holds(exported.stdout, canary), "audit export");
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
  await Deno.remove(temporary, { recursive: true });
});

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
