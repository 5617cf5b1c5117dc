import assert from "node:assert/strict";
import { isDialable, isDialablePort } from "../../src/discovery/dialable.ts";
import { link } from "./network.ts";

const lan = link();
const lo = link({ loopback: true });
const SOURCE = "192.168.1.7";

Deno.test.each([
  "192.168.1.7",
  "192.168.1.200",
  "192.168.77.1",
  "10.1.2.3",
  "172.20.0.1",
  "100.64.0.9",
  "fd00::7",
])("isDialable() passes on %s, said by a neighbour", (address) => {
  assert.ok(isDialable(address, SOURCE, { link: lan }));
});

Deno.test.each([
  "0.0.0.0",
  "0.1.2.3",
  "127.0.0.1",
  "127.9.9.9",
  "169.254.169.254",
  "224.0.0.251",
  "239.1.1.1",
  "240.0.0.1",
  "255.255.255.255",
  "8.8.8.8",
  "172.32.0.1",
  "100.128.0.1",
  "::",
  "::1",
  "::7f00:1",
  "::ffff:192.168.1.7",
  "::FFFF:10.0.0.1",
  "64:ff9b::a00:1",
  "fe80::1",
  "fe80::1%eth0",
  "ff02::fb",
  "2001:db8::1",
  "attic.local",
  "2130706433",
  "0177.0.0.1",
  "0x7f.1",
  "192.168.1.7 ",
  "",
])("isDialable() does not pass on %s, said by a neighbour", (address) => {
  assert.ok(!isDialable(address, SOURCE, { link: lan }));
});

Deno.test("isDialable() takes the sender's own address even where it is neither private nor on the link", () => {
  assert.ok(isDialable("8.8.8.8", "8.8.8.8", { link: lan }));
  assert.ok(!isDialable("224.0.0.1", "224.0.0.1", { link: lan }));
});

Deno.test("isDialable() passes on loopback only where it came by loopback", () => {
  assert.ok(isDialable("127.0.0.1", "127.0.0.1", { link: lo }));
  assert.ok(!isDialable("127.0.0.1", "127.0.0.1", { link: lan }));
  assert.ok(!isDialable("169.254.169.254", "127.0.0.1", { link: lo }));
});

Deno.test("isDialablePort() refuses ports of the system and of the local API", () => {
  const accepted = [0, 22, 1023, 1024, 8910, 8911, 65_535, 65_536].filter(isDialablePort);
  assert.deepEqual(accepted, [1024, 8911, 65_535]);
});
