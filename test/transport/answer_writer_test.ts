import assert from "node:assert/strict";
import { AnswerWriter } from "../../src/transport/answer_writer.ts";
import { writeBody } from "../../src/transport/response_writer.ts";
import { stuck } from "./stuck_socket.ts";

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";

Deno.test("AnswerWriter.stalled() tells of a caller that takes all but the last bytes, and not of one that takes some", () => {
  const { socket, take } = stuck();
  const events: string[] = [];
  const writer = new AnswerWriter(socket, { ended: () => events.push("ended"), sent: () => events.push("sent") });
  const stalled = (now: number) => writer.stalled(now, { stallMs: 20 });
  assert.ok(!stalled(1_000));
  writer.begin(HEAD);
  assert.equal(writer.write(new Uint8Array(3)), null);
  assert.ok(!writer.idle);
  assert.ok(!stalled(2_000), "The time begins when it is looked at first");
  writer.end();
  assert.deepEqual(events, ["ended"]);
  assert.ok(!stalled(2_019));
  take();
  assert.ok(!stalled(2_021));
  assert.ok(stalled(2_042));
  take();
  assert.deepEqual(events, ["ended", "sent"]);
  assert.ok(writer.idle);
  assert.ok(!stalled(9_000));
});

Deno.test("AnswerWriter puts the head, what is there and the end of a short answer into one write", async () => {
  const body = ReadableStream.from([new TextEncoder().encode("well")]);
  const caller = new AbortController();
  for (const [answer, text] of [[body, "4\r\nwell\r\n0\r\n\r\n"], [null, "0\r\n\r\n"]] as const) {
    const { socket, wire } = stuck();
    const writer = new AnswerWriter(socket, { ended: () => {}, sent: () => {} });
    writer.begin(HEAD);
    await writeBody(writer, { body: answer, caller });
    assert.equal(wire(), HEAD + text);
  }
  const { socket, wire } = stuck();
  let ended = 0;
  const writer = new AnswerWriter(socket, { ended: () => ended++, sent: () => {} });
  writer.begin(HEAD, 4);
  writer.pass(new TextEncoder().encode("well"));
  assert.equal(wire(), HEAD + "well");
  assert.equal(ended, 1);
});

Deno.test("AnswerWriter drops what is written to a closed connection, and lets nobody wait", async () => {
  const { socket, wire } = stuck();
  const writer = new AnswerWriter(socket, { ended: () => assert.fail("It ended"), sent: () => {} });
  writer.begin(HEAD);
  const full = writer.write(new Uint8Array(100_000));
  const before = wire().length;
  writer.close();
  await full;
  assert.equal(writer.write(new Uint8Array(3)), null);
  writer.flush();
  writer.end();
  await writer.emptied();
  assert.equal(wire().length, before);
});
