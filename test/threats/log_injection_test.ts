/** Names and models that would forge lines of a log or steer the owner's terminal (T41). */
import assert from "node:assert/strict";
import { AuditLog } from "@ark/node/audit";
import { formatPublicKey, generateIdentity } from "@ark/node/identity";
import { decodeModelRef, label } from "@ark/node/protocol";
import { openStore } from "@ark/node/store";
import { Logger } from "@ark/node/telemetry";
import fc from "fast-check";
import { Output } from "../../src/cli/output.ts";
import { runMain } from "../cli/run_main.ts";
import { TestNode } from "../mesh/test_node.ts";
import { withDirectory } from "../support/temporary.ts";

const COUNT = 5_000;
/** What a terminal or a reader of lines could take for something else. */
const RAW = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

const KNOWN = [
  "a\r\n2026-11-21T00:00:00Z INFO  Peer approved",
  '","level":"error","message":"forged',
  "\u001b[2J\u001b[31mred",
  "\u001b]0;title\u0007",
  "\u009b31m",
  "\u202egnp.exe",
  "\u2066a\u2069",
  "a\u2028b\u2029c",
  "\u0000\u0008\u007f",
  "\ufeff\u200b\u00ad",
  "\ud800",
  "\u{e0041}",
  "a\tb",
  "${jndi:ldap://evil.test}",
  "%s%n%x",
];

function nastyStrings(): string[] {
  const pieces = fc.oneof(
    fc.constantFrom(...KNOWN),
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.string({ unit: fc.constantFrom(...'\r\n\t\u001b\u009b\u0007\u202e\u2066\u2028"\\[]{}=;:ab'), maxLength: 40 }),
  );
  return [...KNOWN, ...fc.sample(fc.tuple(pieces, pieces).map((pair) => pair.join("")), COUNT - KNOWN.length)];
}

/** What a command printed to a terminal. */
class Printed {
  text = "";
  readonly output: Output;

  constructor() {
    const stream = {
      isTerminal: () => true,
      writeSync: (bytes: Uint8Array) => {
        this.text += new TextDecoder().decode(bytes);
        return bytes.length;
      },
    };
    this.output = new Output({ stdout: stream, stderr: stream });
  }
}

Deno.test("T41: Of 5,000 nasty names each makes one line of the log that parses, and nothing raw on a terminal", () => {
  const nasty = nastyStrings();
  assert.equal(nasty.length, COUNT);
  for (const text of nasty) {
    const lines: string[] = [];
    for (const format of ["json", "text"] as const) {
      const logger = new Logger({ format, write: (line) => void lines.push(line) });
      logger.info(text, { peer: text, model: text, reason: text });
    }
    assert.equal(lines.length, 2);
    const { level, message } = JSON.parse(lines[0] ?? "");
    assert.deepEqual([level, typeof message], ["info", "string"]);
    for (const line of lines) assert.doesNotMatch(line, RAW);

    const printed = new Printed();
    printed.output.line(text);
    printed.output.text(text);
    printed.output.note(text);
    printed.output.table(["NAME", "MODEL"], [[text, text]]);
    // The names of the columns are the program's own, and bold.
    const shown = printed.text.replace("\u001b[1mNAME\u001b[0m", "NAME").replace("\u001b[1mMODEL\u001b[0m", "MODEL");
    assert.doesNotMatch(shown.replaceAll(/[\n\t\u200c\u200d]/g, ""), RAW, JSON.stringify(text));
    const json = new Printed();
    json.output.json({ text });
    assert.doesNotMatch(json.text.replaceAll(/[\n\u200c\u200d]/g, ""), RAW);
    assert.deepEqual(JSON.parse(json.text), { text }, "As JSON it still means the same");

    assert.doesNotMatch(label(text), RAW);
    assert.ok([...label(text)].length <= 64);
    try {
      assert.doesNotMatch(decodeModelRef(text), RAW);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "bad_request");
      assert.doesNotMatch((error as Error).message, RAW);
    }
  }
});

Deno.test("T41: Of 5,000 nasty models each makes one line of the audit log that parses", () =>
  withDirectory(async (directory) => {
    const mirror = `${directory}/audit.log`;
    {
      await using store = await openStore(`${directory}/node.db`);
      await using audit = await AuditLog.open({ store, mirror });
      await Promise.all(
        nastyStrings().map((model) => audit.append({ kind: "deny", direction: "in", peer: null, model })),
      );
      assert.ok((await audit.verify()).ok);
    }
    const lines = (await Deno.readTextFile(mirror)).split("\n");
    assert.equal(lines.pop(), "");
    assert.ok(lines.length >= COUNT);
    for (const line of lines) {
      assert.doesNotMatch(line, RAW);
      assert.equal(typeof JSON.parse(line).seq, "number");
    }
  }));

Deno.test("T41: Commands show peers and models with nasty names without a raw escape, and so does the log", async () => {
  await using node = await TestNode.start({ name: KNOWN.join("") });
  for (const [index, text] of KNOWN.filter((one) => RAW.test(one)).entries()) {
    await node.admin("/peers/approve", {
      public_key: formatPublicKey(generateIdentity().publicKey),
      name: `${index} ${text}`,
      permissions: { can_request_inference: true, models_shared: ["*"] },
    });
    const { status } = await node.admin("/keys", { name: `${index} ${text}` });
    assert.equal(status, 400, "A key's name is the owner's own, and is refused as it is");
  }
  const commands = [["peers", "list"], ["status"], ["doctor"], ["keys", "list"], ["audit", "tail"]];
  commands.push(["ask", KNOWN[2] ?? "", "hi"], ["keys", "revoke", KNOWN[3] ?? ""]);
  for (const words of commands) {
    for (const more of [[], ["--json"]]) {
      const { stdout, stderr } = await runMain([...words, ...more, "--data", node.data]);
      assert.ok((stdout + stderr).length > 0);
      assert.doesNotMatch((stdout + stderr).replaceAll("\n", ""), RAW, words.join(" "));
    }
  }
  for (const line of node.log) assert.doesNotMatch(line, RAW);
});
