import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError, type FlagSpec, nearest, parseFlags, SERVE_FLAGS } from "@ark/node/config";

const FLAGS: Record<string, FlagSpec> = {
  data: { value: "DIR", short: "d", help: "folder" },
  listen: { value: "HOST:PORT", help: "address" },
  models: { value: "DIR", multiple: true, help: "folders" },
  "no-mdns": { help: "switch" },
};

Deno.test("parseFlags() reads texts, switches, lists and words in any order", () => {
  const args = ["ask", "-d", "/a", "--models", "/m1", "--listen=127.0.0.1:1", "tiny", "--models=/m2", "--no-mdns"];
  assert.deepEqual(parseFlags(args, FLAGS), {
    flags: { data: "/a", models: ["/m1", "/m2"], listen: "127.0.0.1:1", "no-mdns": true },
    words: ["ask", "tiny"],
  });
  assert.deepEqual(parseFlags([], FLAGS), { flags: {}, words: [] });
  assert.deepEqual(parseFlags(["--", "--data"], FLAGS), { flags: {}, words: ["--data"] });
});

for (
  const [args, message] of [
    [["--lisen", "x"], "Unknown flag --lisen, did you mean --listen: see --help"],
    [["--lisen=x"], "Unknown flag --lisen, did you mean --listen: see --help"],
    [["--modles", "x"], "Unknown flag --modles, did you mean --models: see --help"],
    [["--frobnicate"], "Unknown flag --frobnicate: see --help"],
    [["-x"], "Unknown flag -x: see --help"],
    [["--listen"], "Flag --listen needs a value: see --help"],
    [["--data"], "Flag --data needs a value: see --help"],
    [["-d"], "Flag --data needs a value: see --help"],
    [["--listen", "--no-mdns"], "Flag --listen needs a value: see --help"],
    [["--no-mdns=yes"], "Flag --no-mdns takes no value: see --help"],
  ] as const
) {
  Deno.test(`parseFlags() says of ${args.join(" ")}: ${message}`, () => {
    assert.throws(() => parseFlags([...args], FLAGS), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.name, "ConfigError");
      assert.equal(error.message, message);
      return true;
    });
  });
}

Deno.test("parseFlags() throws nothing but a ConfigError of one line", () => {
  const arg = fc.oneof(
    fc.string(),
    fc.constantFrom("--", "-", "--data", "--models", "-d", "--no-mdns", "--=", "--no-"),
  );
  fc.assert(fc.property(fc.array(arg), (args) => {
    try {
      parseFlags(args, FLAGS);
    } catch (error) {
      assert.ok(error instanceof ConfigError && !error.message.includes("\n"), String(error));
    }
  }));
});

Deno.test("nearest() finds a word that was mistyped by one letter, swapped, dropped or doubled", () => {
  const known = Object.keys(SERVE_FLAGS);
  for (const word of known.filter(({ length }) => length > 4)) {
    for (let at = 0; at < word.length; at++) {
      const typos = [word.slice(0, at) + word.slice(at + 1), word.slice(0, at) + "x" + word.slice(at), word];
      // Without the letter in which they differ, it may be --content or --context.
      for (const typo of typos) if (typo !== "contet") assert.equal(nearest(typo, known), word, typo);
    }
  }
  assert.equal(nearest("lisetn", known), "listen");
  assert.equal(nearest("frobnicate", known), null);
  assert.equal(nearest("", known), null);
  assert.equal(nearest("anything", []), null);
});
