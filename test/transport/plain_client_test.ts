import assert from "node:assert/strict";
import { PlainClient, type PlainResponse } from "@ark/node/transport";
import { KeptConnection, KeptConnections } from "../../src/transport/kept_connections.ts";
import { until } from "../inference/local_fixture.ts";
import { ScriptedServer } from "./scripted_server.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const SIZED = `${OK}content-length: 2\r\n\r\nhi`;
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n`;
const LAST_CHUNK = "0\r\n\r\n";

function clientOf(server: ScriptedServer): PlainClient {
  return new PlainClient({ address: server.address, headers: { accept: "application/json" } });
}

function asking(json?: string, signal = new AbortController().signal) {
  return { target: "/v1/models", ...json === undefined ? {} : { json }, signal };
}

async function text(response: PlainResponse): Promise<string> {
  const decoder = new TextDecoder();
  let said = "";
  await response.pump((bytes) => {
    said += decoder.decode(bytes, { stream: true });
    return null;
  });
  return said;
}

async function ask(client: PlainClient, json?: string): Promise<string> {
  using response = await client.send(asking(json));
  return await text(response);
}

for (
  const [what, answer] of Object.entries({
    "stated length": SIZED,
    "chunks": CHUNKED + LAST_CHUNK,
    "a time that is kept": `${OK}Keep-Alive: timeout=5, max=100\r\ncontent-length: 2\r\n\r\nhi`,
  })
) {
  Deno.test(`PlainClient sends the next request on the same connection after an answer of ${what}`, async () => {
    await using server = new ScriptedServer(() => answer);
    using client = clientOf(server);
    assert.deepEqual([await ask(client), await ask(client, '{"ä":1}'), await ask(client)], ["hi", "hi", "hi"]);
    const fields = `host: 127.0.0.1:${server.address.port}\r\naccept: application/json\r\n`;
    const get = `GET /v1/models HTTP/1.1\r\n${fields}\r\n`;
    const framing = "content-type: application/json\r\ncontent-length: 8\r\n";
    const post = `POST /v1/models HTTP/1.1\r\n${fields}${framing}\r\n{"ä":1}`;
    assert.deepEqual(server.asked, [get, post, get].map((text) => ({ connection: 1, text })));
  });
}

for (
  const [what, answer] of Object.entries({
    "that says so": { say: `${OK}Connection: close\r\ncontent-length: 2\r\n\r\nhi` },
    "whose end is that of the connection": { say: `${OK}\r\nhi`, close: true },
    "that is followed by what nobody asked for": SIZED + SIZED,
    "whose server keeps it for a second": `${OK}keep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nhi`,
  })
) {
  Deno.test(`PlainClient keeps no connection after an answer ${what}`, async () => {
    await using server = new ScriptedServer(() => answer);
    using client = clientOf(server);
    assert.deepEqual([await ask(client), await ask(client)], ["hi", "hi"]);
    assert.deepEqual(server.asked.map(({ connection }) => connection), [1, 2]);
    await until(() => server.open === 0);
  });
}

Deno.test("PlainClient has one connection for each request at once, and uses them all again", async () => {
  await using server = new ScriptedServer(() => SIZED);
  using client = clientOf(server);
  for (let time = 0; time < 3; time++) {
    const responses = await Promise.all([1, 2, 3].map(() => client.send(asking())));
    for (const response of responses) {
      assert.equal(await text(response), "hi");
      response[Symbol.dispose]();
      response[Symbol.dispose]();
    }
  }
  assert.equal(server.connections, 3);
});

Deno.test("PlainClient sends a request once more where the server closed the idle connection, which gets it once", async () => {
  await using server = new ScriptedServer(() => SIZED);
  using client = clientOf(server);
  await ask(client);
  server.hangUp();
  assert.equal(await ask(client, '"question"'), "hi");
  assert.deepEqual(server.asked.map(({ connection }) => connection), [1, 2]);
  assert.ok(server.asked[1]?.text.endsWith('"question"'));
});

Deno.test("PlainClient sends a request twice at the most: a server that dies of it is not killed again and again", async () => {
  await using server = new ScriptedServer(({ text }) => text.endsWith('"deadly"') ? { say: "", close: true } : SIZED);
  using client = clientOf(server);
  await assert.rejects(ask(client, '"deadly"'));
  assert.deepEqual(server.asked.map(({ connection }) => connection), [1], "On a fresh connection only once");
  await ask(client);
  await assert.rejects(ask(client, '"deadly"'));
  assert.deepEqual(server.asked.map(({ connection }) => connection), [1, 2, 2, 3]);
});

Deno.test("PlainClient does not send a request again of whose answer a byte came", async () => {
  await using server = new ScriptedServer(({ text }) => text.startsWith("POST") ? { say: "H", close: true } : SIZED);
  using client = clientOf(server);
  await ask(client);
  await assert.rejects(ask(client, '"question"'), { code: "unavailable" });
  assert.deepEqual(server.asked.map(({ connection }) => connection), [1, 1]);
});

Deno.test("PlainClient does not send a request again that was given up", async () => {
  await using server = new ScriptedServer(({ text }) => text.startsWith("POST") ? "" : SIZED);
  using client = clientOf(server);
  await Promise.all([ask(client), ask(client)]);
  const abort = new AbortController();
  const lost = assert.rejects(client.send(asking('"question"', abort.signal)), /Enough/);
  await until(() => server.asked.length === 3);
  abort.abort(new Error("Enough"));
  await lost;
  await until(() => server.open === 1);
  await assert.rejects(client.send(asking('"question"', abort.signal)), /Enough/);
  // The other connection is still there.
  await ask(client);
  assert.deepEqual([server.asked.length, server.connections], [4, 2]);
});

Deno.test("PlainClient closes a connection at once whose answer is left, or whose request is given up", async () => {
  await using server = new ScriptedServer(() => CHUNKED);
  using client = clientOf(server);
  await leaveAfterBytes(client, (response) => response[Symbol.dispose]());
  await until(() => server.open === 0);
  const abort = new AbortController();
  await leaveAfterBytes(client, () => abort.abort(), abort.signal);
  await until(() => server.open === 0);
  assert.equal(server.connections, 2);
});

async function leaveAfterBytes(
  client: PlainClient,
  leave: (response: PlainResponse) => void,
  signal?: AbortSignal,
): Promise<void> {
  const response = await client.send(asking("1", signal));
  assert.equal((await response.read())?.length, 2);
  leave(response);
}

Deno.test("PlainClient keeps the connection of a stream that is complete, once its end has come", async () => {
  await using server = new ScriptedServer(({ connection, nth }) =>
    connection > 1 ? `${OK}connection: close\r\ncontent-length: 2\r\n\r\nhi` : nth === 1 ? CHUNKED : SIZED
  );
  using client = clientOf(server);
  const abort = new AbortController();
  {
    using response = await client.send(asking("1", abort.signal));
    assert.equal((await response.read())?.length, 2);
    response.finish();
  }
  // It was over before.
  abort.abort();
  assert.equal(await ask(client), "hi");
  assert.equal(server.connections, 2);
  await server.say(1, LAST_CHUNK);
  await until(async () => {
    await ask(client);
    return server.asked.at(-1)?.connection === 1;
  });
});

Deno.test("PlainClient closes a connection that it waits for, and what it keeps, when it is disposed of", async () => {
  await using server = new ScriptedServer(({ nth }) => nth === 1 ? SIZED : CHUNKED);
  const client = clientOf(server);
  await Promise.all([ask(client), ask(client)]);
  const response = await client.send(asking());
  await response.read();
  response.finish();
  assert.equal(server.open, 2);
  client[Symbol.dispose]();
  await until(() => server.open === 0);
  await ask(client);
  await until(() => server.connections === 3 && server.open === 0);
});

Deno.test("PlainClient sends nothing into the head but what belongs there", async () => {
  await using server = new ScriptedServer(() => SIZED);
  using client = clientOf(server);
  const { signal } = new AbortController();
  for (const target of ["/a\r\nb: c", "/a b", "/ä", ""]) {
    await assert.rejects(client.send({ target, signal }), TypeError);
  }
  assert.throws(() => new PlainClient({ address: server.address, headers: { a: "b\nc: d" } }), TypeError);
  assert.equal(server.connections, 0);
});

Deno.test("KeptConnections closes each connection when its time has come, by one timer", async () => {
  await using server = new ScriptedServer(() => SIZED);
  using kept = new KeptConnections({ mostIdle: 9, endMs: 10 });
  const connect = () => KeptConnection.open(server.address, new AbortController().signal);
  const [long, short, silent] = [await connect(), await connect(), await connect()];
  await until(() => server.open === 3);
  kept.keep(long, 60_000);
  kept.keep(short, 20);
  const ended = kept.keepAfter(silent, silent.read(new Uint8Array(1)).then(() => 60_000));
  await until(() => server.open === 1);
  await ended;
  assert.equal(kept.take(), long);
  assert.equal(kept.take(), null);
  kept.keep(long, 20);
  await until(() => server.open === 0);
});

Deno.test("KeptConnections gives the connection that was used last, keeps no crowd and none without time", async () => {
  await using server = new ScriptedServer(() => SIZED);
  using kept = new KeptConnections({ mostIdle: 2, endMs: 60_000 });
  const connect = () => KeptConnection.open(server.address, new AbortController().signal);
  const [first, second, third, fourth] = [await connect(), await connect(), await connect(), await connect()];
  await until(() => server.open === 4);
  kept.keep(fourth, 0);
  kept.keep(first, 60_000);
  kept.keep(second, 60_000);
  kept.keep(third, 60_000);
  await until(() => server.open === 2);
  assert.deepEqual([kept.take(), kept.take(), kept.take()], [second, first, null]);
  await kept.keepAfter(first, Promise.resolve(60_000));
  assert.equal(kept.take(), first);
  kept.keep(second, 60_000);
  kept.closeIdle();
  await until(() => server.open === 1);
  kept[Symbol.dispose]();
  kept.keep(first, 60_000);
  await until(() => server.open === 0);
});
