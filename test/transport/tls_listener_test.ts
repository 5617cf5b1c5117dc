/** The plain listener with a certificate, over real TLS. */
import assert from "node:assert/strict";
import { listenPlain } from "@ark/node/transport";

const directory = await Deno.makeTempDir({ prefix: "ark-tls-" });
const made = await new Deno.Command("openssl", {
  args: [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(" "),
    ..."-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE".split(" "),
    ...["-keyout", `${directory}/key.pem`, "-out", `${directory}/cert.pem`],
  ],
  stdout: "null",
  stderr: "null",
}).output().catch(() => null);
const ignore = made?.success !== true;
// deno-lint-ignore no-console
if (ignore) console.log("tls_listener_test: skipped, there is no openssl");
const [cert, key] = ignore
  ? ["", ""]
  : await Promise.all(["cert", "key"].map((name) => Deno.readTextFile(`${directory}/${name}.pem`)));
await Deno.remove(directory, { recursive: true });

const tls = { cert: cert ?? "", key: key ?? "" };

/** Reads until the other side ends, or to the end of a time that nobody should need. */
async function ends(connection: Deno.Conn): Promise<void> {
  const late = setTimeout(() => connection.close(), 20_000);
  const buffer = new Uint8Array(1_024);
  try {
    while (await connection.read(buffer) !== null);
  } catch (error) {
    // Cut, which is an end as well; one that this side had to make is none.
    assert.ok(
      !(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted),
      "It was never cut",
    );
  }
  clearTimeout(late);
}

Deno.test({
  name: "listenPlain() with a certificate answers small and large questions on kept connections, whole",
  ignore,
  async fn() {
    await using listener = await listenPlain({
      hostname: "127.0.0.1",
      port: 0,
      tls,
      handler: async (request, { remote }) => {
        assert.equal(remote, "127.0.0.1");
        const body = request.method === "POST" ? await request.text() : "";
        return new Response("x".repeat(Number(new URL(request.url).searchParams.get("size"))) + body);
      },
    });
    using client = Deno.createHttpClient({ caCerts: [tls.cert] });
    for (const size of [0, 1, 16_000, 30_000, 70_000, 3_000_000]) {
      const sent = "y".repeat(size);
      const url = `https://localhost:${listener.port}/?size=${size}`;
      assert.equal((await (await fetch(url, { client })).text()).length, size);
      const answer = await (await fetch(url, { client, method: "POST", body: sent })).text();
      assert.ok(answer === "x".repeat(size) + sent, `${size} bytes`);
    }
  },
});

Deno.test({
  name: "listenPlain() with a certificate cuts who does not shake hands, speaks no TLS, or is one too many",
  ignore,
  async fn() {
    await using listener = await listenPlain({
      hostname: "127.0.0.1",
      port: 0,
      tls,
      limits: { connections: 2, headMs: 300, idleMs: 300 },
      handler: () => Promise.resolve(new Response("ok")),
    });
    const { port } = listener;
    const connect = () => Deno.connect({ hostname: "127.0.0.1", port });
    using plain = await connect();
    await plain.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    await ends(plain);
    using silent = await connect();
    using other = await connect();
    using third = await connect();
    await ends(third);
    await Promise.all([ends(silent), ends(other)]);
    // There is room again.
    using client = Deno.createHttpClient({ caCerts: [tls.cert] });
    assert.equal(await (await fetch(`https://localhost:${port}/`, { client })).text(), "ok");
  },
});
