import assert from "node:assert/strict";
import fc from "fast-check";
import { type MeshHead, readMeshHead } from "../../src/transport/mesh_head.ts";

const LINE = "POST /ark/v1/infer?x=1 HTTP/1.1\r\n";

function accepted(text: string): MeshHead {
  const head = readMeshHead(text);
  return typeof head === "string" ? assert.fail(`${head}: ${text}`) : head;
}

Deno.test("readMeshHead() reads a request line and its fields", () => {
  assert.deepEqual(accepted(`${LINE}Host: a.b\r\nX:\r\nContent-Length:\t12 \r\nX-Y: a  b:c\t\r\n`), {
    method: "POST",
    target: "/ark/v1/infer?x=1",
    rawHeaders: ["host", "a.b", "x", "", "content-length", "12", "x-y", "a  b:c"],
    contentLength: 12,
    last: false,
  });
  assert.deepEqual(accepted("GET / HTTP/1.1\r\n").rawHeaders, []);
  assert.ok(accepted(`${LINE}Connection: keep-alive\r\nConnection: x, Close\r\n`).last);
  // One of several is for who checks the signature to refuse.
  assert.deepEqual(accepted(`${LINE}Ark-To: a\r\nark-to: b\r\n`).rawHeaders, ["ark-to", "a", "ark-to", "b"]);
});

Deno.test("readMeshHead() takes nothing that two readers could understand in two ways", () => {
  const malformed: Record<string, string> = {
    "nothing": "",
    "an empty line before it": `\r\n${LINE}`,
    "a line that does not end": LINE.trimEnd(),
    "a bare line feed": "GET / HTTP/1.1\nHost: a\r\n",
    "a bare line feed in a field": `${LINE}A: b\nContent-Length: 3\r\n`,
    "a bare carriage return": `${LINE}A: b\rContent-Length: 3\r\n`,
    "two carriage returns": `${LINE}A: b\r\r\n`,
    "a NUL": `${LINE}A: b\0c\r\n`,
    "a NUL in a name": `${LINE}A\0: b\r\n`,
    "a delete": `${LINE}A: b\x7f\r\n`,
    "more than ASCII": `${LINE}A: \xe9\r\n`,
    "more than ASCII in the target": "GET /\xe9 HTTP/1.1\r\n",
    "an obsolete fold": `${LINE}A: b\r\n c\r\n`,
    "an obsolete fold by a tab": `${LINE}A: b\r\n\tc\r\n`,
    "a space before the colon": `${LINE}A : b\r\n`,
    "a space before the name": `${LINE} A: b\r\n`,
    "a field without a name": `${LINE}: b\r\n`,
    "a field without a colon": `${LINE}A\r\n`,
    "two spaces in the line": "GET  / HTTP/1.1\r\n",
    "a tab in the line": "GET\t/ HTTP/1.1\r\n",
    "a space behind the line": "GET / HTTP/1.1 \r\n",
    "no version": "GET /\r\n",
    "no HTTP": "GET / HTTPS/1.1\r\n",
    "a version of three parts": "GET / HTTP/1.1.1\r\n",
    "another spelling of HTTP": "GET / http/1.1\r\n",
    "chunks": `${LINE}Transfer-Encoding: chunked\r\n`,
    "chunks that are none": `${LINE}transfer-encoding: identity\r\n`,
    "two lengths": `${LINE}Content-Length: 5\r\nContent-Length: 5\r\n`,
    "a list of lengths": `${LINE}Content-Length: 5, 5\r\n`,
    "an empty length": `${LINE}Content-Length:\r\n`,
    "a signed length": `${LINE}Content-Length: +5\r\n`,
    "a negative length": `${LINE}Content-Length: -5\r\n`,
    "a hexadecimal length": `${LINE}Content-Length: 0x5\r\n`,
    "a length with a fraction": `${LINE}Content-Length: 5.0\r\n`,
    "a length that no number holds": `${LINE}Content-Length: ${"9".repeat(16)}\r\n`,
  };
  for (const [what, text] of Object.entries(malformed)) assert.equal(readMeshHead(text), "malformed", what);
});

Deno.test("readMeshHead() allows two methods, one version and no feature that takes more than an answer", () => {
  for (const method of ["PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "BREW", "get", "PRI"]) {
    assert.equal(readMeshHead(LINE.replace("POST", method)), "not_allowed", method);
  }
  for (const version of ["0.9", "1.0", "1.2", "2.0"]) {
    assert.equal(readMeshHead(LINE.replace("1.1", version)), "not_allowed", version);
  }
  for (const field of ["Expect: 100-continue", "Expect: x", "Upgrade: h2c\r\nConnection: x, Upgrade"]) {
    assert.equal(readMeshHead(`${LINE}${field}\r\n`), "not_allowed", field);
  }
});

const TOKEN = fc.constantFrom(
  LINE,
  "GET / HTTP/1.1\r\n",
  "Host: h\r\n",
  "Content-Length: 3\r\n",
  "Connection: close\r\n",
  "A:",
  ":",
  " ",
  "\t",
  "a",
  "\r",
  "\n",
  "\r\n",
  "\0",
  "\x80",
);

Deno.test("readMeshHead() accepts no head but those that can be put together again from what it read", () => {
  const texts = fc.oneof(
    fc.array(TOKEN, { maxLength: 12 }).map((tokens) => LINE + tokens.join("")),
    fc.array(TOKEN, { maxLength: 12 }).map((tokens) => tokens.join("")),
    fc.uint8Array({ maxLength: 100 }).map((bytes) => LINE + String.fromCharCode(...bytes) + "\r\n"),
  );
  let whole = 0;
  fc.assert(
    fc.property(texts, (text) => {
      const head = readMeshHead(text);
      if (typeof head === "string") return;
      whole++;
      const { method, target, rawHeaders } = head;
      const [line, ...lines] = text.split("\r\n");
      assert.equal(line, `${method} ${target} HTTP/1.1`);
      assert.equal(lines.pop(), "");
      assert.equal(rawHeaders.length, 2 * lines.length);
      for (const [at, field] of lines.entries()) {
        assert.match(field, /^[\x20-\x7e\t]+$/);
        const [name = "", value] = [rawHeaders[2 * at], rawHeaders[2 * at + 1]];
        assert.equal(field.slice(0, name.length + 1).toLowerCase(), `${name}:`);
        assert.equal(field.slice(name.length + 1).replaceAll(/^[ \t]+|[ \t]+$/g, ""), value);
      }
    }),
    { numRuns: 5_000 },
  );
  assert.ok(whole > 100, `${whole}`);
});

Deno.test("readMeshHead() takes no longer for a head that is made to be looked at again and again", () => {
  const long = 8 << 10;
  const heads = [
    `${LINE}A:${" ".repeat(long)}\0\r\n`,
    `${LINE}A:${" x".repeat(long >> 1)}\0\r\n`,
    `${LINE}${"A:\r\n".repeat(long >> 2)}\0\r\n`,
    `${LINE}${"a".repeat(long)}\r\n`,
    `GET ${"/".repeat(long)}\r\n`,
    "G".repeat(long),
  ];
  for (const head of heads) {
    const began = performance.now();
    for (let time = 0; time < 10; time++) assert.equal(readMeshHead(head), "malformed");
    // Looked at twice for each character it would be many seconds.
    assert.ok(performance.now() - began < 1_000, head.slice(0, 60));
  }
});
