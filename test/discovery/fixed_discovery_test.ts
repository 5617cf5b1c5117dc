import assert from "node:assert/strict";
import { FixedDiscovery } from "@ark/node/discovery";
import { discoveryContract } from "./discovery_contract.ts";

const attic = { hostname: "attic.local", port: 8911 };
const cellar = { hostname: "fd00::20", port: 9000 };

discoveryContract("FixedDiscovery", { make: () => new FixedDiscovery([attic, cellar]), finds: true });

Deno.test("FixedDiscovery.discover() tells each address at once, and all of them again later", async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  for await (const sighting of new FixedDiscovery([attic, cellar, attic], { repeatMs: 5 }).discover(stop.signal)) {
    assert.deepEqual({ ...sighting, address: null }, { source: "fixed", shortId: null, address: null, gone: false });
    seen.push(sighting.address.hostname);
    if (seen.length === 6) stop.abort();
  }
  assert.deepEqual(seen, ["attic.local", "fd00::20", "attic.local", "fd00::20", "attic.local", "fd00::20"]);
});

Deno.test("FixedDiscovery() refuses a port that cannot be dialled", () => {
  for (const port of [0, -1, 65_536, 1.5]) {
    assert.throws(() => new FixedDiscovery([{ hostname: "attic.local", port }]), RangeError);
  }
});
