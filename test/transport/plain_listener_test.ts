import assert from "node:assert/strict";
import { listenPlain, notePushed, type PlainListenOptions } from "@ark/node/transport";
import { rawHttp } from "../support/raw_http.ts";

type Handler = PlainListenOptions["handler"];
const ENCODER = new TextEncoder();

function listen(handler: Handler, limits: PlainListenOptions["limits"] = {}) {
  return listenPlain({ hostname: "127.0.0.1", port: 0, handler, limits });
}

/** Says what it was asked. */
const echo: Handler = async (request) => {
  const { method, url, headers } = request;
  return Response.json({ method, url, x: headers.get("x-a"), body: await request.text() });
};

/** Bodies of the answers in what a connection said. */
function answers(said: string): string[] {
  return [...said.matchAll(/HTTP\/1\.1 (\d+) [^]*?\r\n\r\n(?:(\{[^]*?\})(?=HTTP|$))?/g)].map(([, status, body]) =>
    body === undefined ? status ?? "" : body
  );
}

Deno.test("listenPlain() answers requests on one connection in their order, sent at once or not", async () => {
  await using server = await listen(echo);
  const post = (body: string) =>
    `POST /b HTTP/1.1\r\nHost: h\r\nX-A: \xe9\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const chunks =
    "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
  const said = await rawHttp(
    server.port,
    `GET /a?q=1 HTTP/1.1\r\nHost: h\r\n\r\n${post("xyz")}${chunks}${post("last")}`,
  );
  assert.deepEqual(answers(said).map((body) => JSON.parse(body)), [
    { method: "GET", url: "http://h/a?q=1", x: null, body: "" },
    { method: "POST", url: "http://h/b", x: "\xe9", body: "xyz" },
    { method: "POST", url: "http://h/c", x: null, body: "abc0123456789" },
    { method: "POST", url: "http://h/b", x: "\xe9", body: "last" },
  ]);
});

Deno.test("listenPlain() gives the target as it was sent, whatever a URL would make of it", async () => {
  await using server = await listen(echo);
  const urls = [];
  for (const target of ["/a/../b", "/%2e%2e/%zz", "//x", "http://Other:80/y"]) {
    const said = await rawHttp(server.port, `GET ${target} HTTP/1.1\r\nHost: H:1\r\nConnection: close\r\n\r\n`);
    urls.push(JSON.parse(answers(said)[0] ?? "").url);
  }
  assert.deepEqual(urls, ["http://H:1/a/../b", "http://H:1/%2e%2e/%zz", "http://H:1//x", "http://Other:80/y"]);
});

for (
  const [what, head, status] of [
    ["two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"],
    [
      "a length and chunks",
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "400",
    ],
    ["another encoding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400"],
    ["chunks in HTTP/1.0", "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"],
    ["two hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "400"],
    ["a space before a colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "400"],
    ["a field that goes on", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", "400"],
    ["a bare line feed", "GET / HTTP/1.1\nHost: h\r\n\r\n", "400"],
    ["a target of another kind", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "400"],
    ["a method that is none", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", "400"],
    ["another version", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505"],
    ["a long head", `GET / HTTP/1.1\r\nHost: h\r\nX: ${"a".repeat(70_000)}\r\n\r\n`, "431"],
  ] as const
) {
  Deno.test(`listenPlain() refuses ${what}, and ends the connection`, async () => {
    let asked = 0;
    await using server = await listen(() => {
      asked++;
      return Promise.resolve(new Response("no"));
    });
    const said = await rawHttp(server.port, `${head}GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n`, { silenceMs: 2_000 });
    assert.deepEqual([answers(said), asked], [[status], 0]);
  });
}

Deno.test("listenPlain() answers HEAD, HTTP/1.0, no content and a failing handler", async () => {
  await using server = await listen((request) => {
    if (request.url.endsWith("/none")) return Promise.resolve(new Response(null, { status: 204 }));
    if (request.url.endsWith("/fault")) return Promise.reject(new Error("broken"));
    return Promise.resolve(new Response("text"));
  });
  const head = await rawHttp(server.port, "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
  const old = await rawHttp(server.port, "GET / HTTP/1.0\r\nHost: h\r\n\r\n", { silenceMs: 5_000 });
  assert.match(old, /^HTTP\/1\.1 200 OK\r\n[^]*connection: close\r\n\r\ntext$/);
  assert.equal((await fetch(`http://127.0.0.1:${server.port}/none`)).status, 204);
  const fault = await fetch(`http://127.0.0.1:${server.port}/fault`);
  assert.deepEqual([fault.status, await fault.text()], [500, ""]);
});

Deno.test("listenPlain() asks for a body whose sender waits, and for none that nobody reads", async () => {
  await using server = await listen(async (request) =>
    new Response(request.url.endsWith("/read") ? await request.text() : "refused", { status: 200 })
  );
  for (
    const [path, wanted] of [["/read", /^HTTP\/1\.1 100 Continue\r\n\r\n$/], [
      "/not",
      /^HTTP\/1\.1 200 OK[^]*refused$/,
    ]] as const
  ) {
    using client = await Deno.connect(server);
    await client.write(
      ENCODER.encode(`POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n`),
    );
    const buffer = new Uint8Array(4_096);
    assert.match(new TextDecoder().decode(buffer.subarray(0, await client.read(buffer) ?? 0)), wanted);
    if (path === "/not") continue;
    await client.write(ENCODER.encode("ab"));
    assert.match(new TextDecoder().decode(buffer.subarray(0, await client.read(buffer) ?? 0)), /\r\n\r\nab$/);
  }
});

Deno.test("listenPlain() lets a client read an answer that came before its body was sent", async () => {
  await using server = await listen(() => Promise.resolve(new Response("too large", { status: 413 })));
  const response = await fetch(`http://127.0.0.1:${server.port}/`, { method: "POST", body: new Uint8Array(4 << 20) });
  assert.deepEqual([response.status, await response.text()], [413, "too large"]);
});

Deno.test("listenPlain() sends a large stream whole, and cuts one that fails", async () => {
  const piece = new Uint8Array(100_000).fill(7);
  await using server = await listen((request) => {
    let left = 50;
    return Promise.resolve(
      new Response(
        new ReadableStream<Uint8Array>({
          pull(controller) {
            if (left-- > 0) controller.enqueue(piece);
            else if (request.url.endsWith("/fails")) controller.error(new Error("broken"));
            else controller.close();
          },
        }),
      ),
    );
  });
  const whole = await (await fetch(`http://127.0.0.1:${server.port}/`)).bytes();
  assert.ok(whole.length === 5_000_000 && whole.every((byte) => byte === 7));
  await assert.rejects(fetch(`http://127.0.0.1:${server.port}/fails`).then((response) => response.bytes()));
});

for (const way of ["read", "pushed"]) {
  Deno.test(`listenPlain() lets no more of a body be made than its client takes: ${way}`, async () => {
    const gone = Promise.withResolvers<void>();
    let made = 0;
    const piece = new Uint8Array(16 << 10);
    await using server = await listen((request) => {
      request.signal.addEventListener("abort", () => gone.resolve(), { once: true });
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          made += piece.length;
          controller.enqueue(piece);
        },
      }, { highWaterMark: 0 });
      if (way === "pushed") {
        notePushed(body, {
          pipe: async (sink) => {
            while (!request.signal.aborted) {
              made += piece.length;
              await sink.write(piece);
              await Promise.resolve();
            }
            throw request.signal.reason;
          },
        });
      }
      return Promise.resolve(new Response(body));
    });
    const client = await Deno.connect(server);
    await client.write(ENCODER.encode("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    // It stops where the buffers of the system are full: these are some megabytes.
    for (let before = -1; before !== made || made === 0;) {
      before = made;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(made < 32 << 20, `${made} bytes were made for a client that reads none`);
    client.close();
    await gone.promise;
  });
}

Deno.test("listenPlain() writes a pushed body as it comes, and cuts one that fails", async () => {
  const go = Promise.withResolvers<void>();
  await using server = await listen((request) => {
    const body = new ReadableStream<Uint8Array>();
    notePushed(body, {
      pipe: async (sink) => {
        sink.write(ENCODER.encode("first "));
        await go.promise;
        for (let count = 0; count < 100; count++) sink.write(ENCODER.encode("x"));
        if (request.url.endsWith("/fails")) throw new Error("broken");
      },
    });
    return Promise.resolve(new Response(body));
  });
  const response = await fetch(`http://127.0.0.1:${server.port}/`);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.equal((await reader?.read())?.value, "first ");
  go.resolve();
  let rest = "";
  for (let next = await reader?.read(); next !== undefined && !next.done; next = await reader?.read()) {
    rest += next.value;
  }
  assert.equal(rest, "x".repeat(100));
  await assert.rejects(fetch(`http://127.0.0.1:${server.port}/fails`).then((failing) => failing.text()));
});

Deno.test("listenPlain() closes connections that are idle or slow, and those that are too many", async () => {
  await using server = await listen(echo, { connections: 2, idleMs: 200, headMs: 200 });
  const first = await Deno.connect(server);
  const slow = await Deno.connect(server);
  const third = await Deno.connect(server);
  await slow.write(ENCODER.encode("GET / HT"));
  for (const connection of [third, first, slow]) {
    assert.equal(await connection.read(new Uint8Array(1)).catch(() => null), null);
    connection.close();
  }
  assert.equal((await (await fetch(`http://127.0.0.1:${server.port}/`)).json()).method, "GET");
});
