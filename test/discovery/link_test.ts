import assert from "node:assert/strict";
import type { NetworkInterfaceInfo } from "node:os";
import { linkOf, linksFor } from "../../src/discovery/link.ts";

function info(
  address: string,
  prefix: number,
  { internal = false, mac = "02:00:00:00:00:01" } = {},
): NetworkInterfaceInfo {
  const netmask = "";
  const cidr = `${address}/${prefix}`;
  return address.includes(":")
    ? { address, netmask, cidr, internal, mac, family: "IPv6", scopeid: 0 }
    : { address, netmask, cidr, internal, mac, family: "IPv4" };
}

const LO = [info("127.0.0.1", 8, { internal: true }), info("::1", 128, { internal: true })];
const ETH = [info("192.168.1.5", 24), info("fd00::5", 64), info("fe80::5", 64)];
const WLAN = [info("10.0.0.5", 8), info("10.99.0.5", 24)];
const INTERFACES = { lo: LO, eth0: ETH, wlan0: WLAN, wg0: [info("fd77::1", 64)] };

Deno.test("linksFor() speaks on every interface with an IPv4 address, and advertises what can be dialled there", () => {
  const told = (hostname: string, interfaces: Record<string, NetworkInterfaceInfo[]> = INTERFACES) =>
    Object.fromEntries(linksFor(hostname, interfaces).map((link) => [link.name, link.advertised]));
  assert.deepEqual(told("0.0.0.0"), { eth0: ["192.168.1.5"], wlan0: ["10.0.0.5", "10.99.0.5"] });
  assert.deepEqual(told("::"), { eth0: ["192.168.1.5", "fd00::5"], wlan0: ["10.0.0.5", "10.99.0.5"] });
  assert.deepEqual(told("10.99.0.5"), { wlan0: ["10.99.0.5"] });
  assert.deepEqual(told("fd00::5"), { eth0: ["fd00::5"] });
  assert.deepEqual(told("127.0.0.1"), { lo: ["127.0.0.1"] });
  assert.deepEqual(told("192.168.9.9"), {});
  assert.deepEqual(told("0.0.0.0", {}), {});
});

Deno.test("linksFor() sends from an address that the listener is bound to", () => {
  assert.deepEqual(linksFor("10.99.0.5", INTERFACES).map((link) => link.address), ["10.99.0.5"]);
});

Deno.test("linksFor() falls back to loopback where there is nothing else, or nothing else works", () => {
  assert.deepEqual(linksFor("0.0.0.0", { lo: LO, wg0: INTERFACES.wg0 }).map((link) => link.name), ["lo"]);
  const names = linksFor("0.0.0.0", INTERFACES, { loopbackToo: true }).map((link) => link.name);
  assert.deepEqual(names, ["lo", "eth0", "wlan0"]);
});

Deno.test("linksFor() gives a new key to another card of the same address, and the same one to a new IPv6 address", () => {
  const key = (eth0: NetworkInterfaceInfo[]) => linksFor("0.0.0.0", { eth0 })[0]?.key;
  const card = (mac: string) => [info("192.168.1.5", 24, { mac })];
  assert.equal(key(card("02:00:00:00:00:01")), key([...card("02:00:00:00:00:01"), info("fd00::77", 64)]));
  assert.notEqual(key(card("02:00:00:00:00:01")), key(card("02:00:00:00:00:02")));
  assert.notEqual(key([info("192.168.1.5", 24)]), key([info("192.168.1.5", 16)]));
});

Deno.test("linkOf() finds the link by our own address first, then by the subnet", () => {
  const links = linksFor("0.0.0.0", INTERFACES);
  assert.equal(linkOf("192.168.1.77", links)?.name, "eth0");
  assert.equal(linkOf("10.3.4.5", links)?.name, "wlan0");
  assert.equal(linkOf("fd00::99", links)?.name, "eth0");
  assert.equal(linkOf("127.0.0.1", links), undefined);
  assert.equal(linkOf("172.16.0.1", links), undefined);
  assert.equal(linkOf("attic.local", links), undefined);
});
