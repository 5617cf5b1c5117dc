import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import fc from "fast-check";
import { HostNames, isLoopbackAddress, isLoopbackName } from "../../src/http/middleware/host_names.ts";

const OWN = Object.values(networkInterfaces()).flatMap((found) => found ?? []).filter(({ internal }) => !internal);

Deno.test("HostNames on the loopback has the loopback's names and those that were added, and not the machine's", () => {
  const hosts = new HostNames({ bound: "127.0.0.1", allowed: ["Ark.example"] });
  for (
    const host of ["localhost", "LOCALHOST:80", "a.localhost", "127.0.0.1:1", "[::1]", "[::1]:8910", "ark.EXAMPLE:443"]
  ) {
    assert.ok(hosts.has(host), host);
  }
  for (const { address, family } of OWN) {
    const plain = address.replace(/%.*$/, "");
    assert.ok(!hosts.has(family === "IPv6" ? `[${plain}]` : plain), address);
  }
  assert.ok(!hosts.has(Deno.hostname()) || isLoopbackName(Deno.hostname()));
});

Deno.test("HostNames on the network has the machine's addresses in any spelling, and its name", () => {
  for (const bound of ["0.0.0.0", "::"]) {
    const hosts = new HostNames({ bound });
    for (const { address, family } of OWN) {
      const plain = address.replace(/%.*$/, "");
      if (family === "IPv4") assert.ok(hosts.has(`${plain}:8910`), plain);
      else for (const one of [plain, plain.toUpperCase(), plain.replace("::", ":0:")]) assertSame(hosts, one, plain);
    }
    assert.ok(hosts.has(`${Deno.hostname()}:8910`));
    assert.ok(hosts.has("localhost"));
    for (const host of ["0.0.0.0", "[::]", "192.0.2.77", "evil.test", "[2001:db8::77]"]) {
      assert.ok(!hosts.has(host), host);
    }
  }
});

/** A spelling counts where it is the same address, which the URL parser tells. */
function assertSame(hosts: HostNames, spelling: string, address: string): void {
  const same = URL.parse(`http://[${spelling}]`)?.hostname === URL.parse(`http://[${address}]`)?.hostname;
  assert.equal(hosts.has(`[${spelling}]`), same, spelling);
}

Deno.test("HostNames takes no text by accident", () => {
  const hosts = new HostNames({ bound: "127.0.0.1" });
  const pieces = fc.constantFrom(
    "localhost",
    "127.0.0.1",
    "::1",
    "[",
    "]",
    ":",
    "@",
    ".",
    "/",
    "#",
    "8910",
    "evil.test",
    " ",
  );
  const made = fc.array(pieces, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.oneof(made, fc.string({ unit: "binary" })), (host) => {
      if (!hosts.has(host)) return;
      assert.match(host, /^(localhost|([a-z0-9_-]+\.)+localhost|127(\.\d{1,3}){3}|\[::1\]|\[0*:.*1\])(:\d{1,5})?$/i);
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("isLoopbackAddress() knows from where only this machine can call", () => {
  for (const own of ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "::FFFF:127.1.2.3"]) {
    assert.ok(isLoopbackAddress(own), own);
  }
  for (
    const other of ["", "192.168.1.2", "::ffff:192.168.1.2", "::", "0.0.0.0", "fe80::1", "1127.0.0.1", "localhost"]
  ) {
    assert.ok(!isLoopbackAddress(other), other);
  }
});
