import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { NodeProcess } from "../support/node_process.ts";
import { until } from "../inference/local_fixture.ts";

const PACED = fileURLToPath(new URL("../support/paced_server.ts", import.meta.url));
const STREAMS = Deno.env.get("ARK_LONG") === "1" ? 512 : 96;
/** Each lasts longer than a peer is waited for that answers no question. */
const [TOKENS, EVERY_MS] = [20, 150];

/** The texts of a streamed answer, as a client joins them; null where it has no end. */
async function said(api: string): Promise<string | null> {
  const response = await fetch(`${api}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "paced",
      stream: true,
      max_tokens: TOKENS,
      messages: [{ role: "user", content: `every ${EVERY_MS}` }],
    }),
  });
  const text = await response.text();
  const words = [...text.matchAll(/"content":"([^"]*)"/g)].map(([, word]) => word);
  return text.endsWith("data: [DONE]\n\n") ? words.join("") : null;
}

Deno.test(`${STREAMS} streams that begin at once come whole from an upstream server and from a peer`, async () => {
  const server = new Deno.Command(Deno.execPath(), { args: ["run", "-A", PACED], stdout: "piped" }).spawn();
  try {
    const reader = server.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    const upstream = ["--upstream", `s=${new TextDecoder().decode(value).trim()}`];
    const quiet = ["--no-mdns", "--log-level", "error", "--wireguard", "off"];
    await using b = await NodeProcess.start({ name: "B", args: [...quiet, ...upstream, "--share-upstreams"] });
    await using a = await NodeProcess.start({ name: "A", args: [...quiet, "--peer", b.ready.mesh] });
    await b.json("peers", "approve", a.ready.public_key, "--max", String(STREAMS));
    await a.json("peers", "approve", b.ready.public_key);
    await until(async () => (await a.json<{ models: unknown[] }>("models")).models.length > 0);
    const whole = Array.from({ length: TOKENS }, (_, index) => `t${index} `).join("");
    for (const { ready } of [b, a]) {
      const texts = await Promise.all(Array.from({ length: STREAMS }, () => said(ready.api)));
      assert.deepEqual(texts, texts.map(() => whole));
    }
  } finally {
    server.kill("SIGKILL");
    await server.status;
  }
});
