import assert from "node:assert/strict";
import { isIP } from "node:net";
import fc from "fast-check";
import { parsePeerAddress } from "@ark/node/discovery";

Deno.test.each([
  { text: "192.168.1.20:9000", hostname: "192.168.1.20", port: 9000 },
  { text: "192.168.1.20", hostname: "192.168.1.20", port: 8911 },
  { text: "attic.local", hostname: "attic.local", port: 8911 },
  { text: "Attic:1", hostname: "Attic", port: 1 },
  { text: " attic.local:8911\n", hostname: "attic.local", port: 8911 },
  { text: "[fd00::20]:8911", hostname: "fd00::20", port: 8911 },
  { text: "[fd00::20]", hostname: "fd00::20", port: 8911 },
  { text: "[fe80::1%eth0]:8911", hostname: "fe80::1%eth0", port: 8911 },
  { text: "[::]:0", hostname: "::", port: 0 },
  { text: "127.0.0.1:0", hostname: "127.0.0.1", port: 0 },
  { text: "ark_1.example.:65535", hostname: "ark_1.example.", port: 65535 },
])("parsePeerAddress() reads $text", ({ text, hostname, port }) => {
  assert.deepEqual(parsePeerAddress(text), { hostname, port });
});

Deno.test("parsePeerAddress() takes the port that it is told where none is written", () => {
  assert.deepEqual(parsePeerAddress("localhost", 8910), { hostname: "localhost", port: 8910 });
});

Deno.test.each([
  { text: "", says: /empty/ },
  { text: "   ", says: /empty/ },
  { text: "https://attic.local:8911", says: /leave out "https:\/\/"/ },
  { text: "fd00::20", says: /brackets, such as \[fd00::20\]:8911/ },
  { text: "fd00::20:8911", says: /brackets/ },
  { text: "[attic.local]:8911", says: /"attic.local" is no IPv6 address/ },
  { text: "[fd00::20]8911", says: /neither|colons/ },
  { text: "[fd00::20]:", says: /"" is no port/ },
  { text: "a:b:c", says: /too many colons/ },
  { text: ":8911", says: /"" is neither/ },
  { text: "attic.local:", says: /"" is no port/ },
  { text: "attic.local:http", says: /"http" is no port/ },
  { text: "attic.local:65536", says: /"65536" is no port/ },
  { text: "attic.local:-1", says: /"-1" is no port/ },
  { text: "attic local:8911", says: /neither/ },
  { text: "-attic:8911", says: /neither/ },
  { text: "192.168.1.300:8911", says: /neither/ },
  { text: "192.168.1:8911", says: /neither/ },
  { text: "0177.0.0.1:8911", says: /neither/ },
  { text: "2130706433", says: /neither/ },
  { text: "0x7f.1", says: /neither/ },
  { text: "attic.local/path", says: /neither/ },
  { text: "user@attic.local", says: /neither/ },
])("parsePeerAddress() refuses $text with a sentence", ({ text, says }) => {
  assert.throws(() => parsePeerAddress(text), (error: Error) => {
    assert.ok(error instanceof SyntaxError);
    assert.match(error.message, says);
    assert.match(error.message, /^Cannot read /);
    return true;
  });
});

Deno.test("parsePeerAddress() reads back what it is given, or throws a SyntaxError", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.webAuthority(), fc.ipV6(), fc.ipV4Extended()), (text) => {
    try {
      const { hostname, port } = parsePeerAddress(text);
      const again = isIP(hostname) === 6 ? `[${hostname}]:${port}` : `${hostname}:${port}`;
      assert.deepEqual(parsePeerAddress(again), { hostname, port });
    } catch (error) {
      assert.ok(error instanceof SyntaxError, String(error));
    }
  }));
});
