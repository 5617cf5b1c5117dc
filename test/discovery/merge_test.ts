import assert from "node:assert/strict";
import { type Discovery, FixedDiscovery, merge, type Sighting } from "@ark/node/discovery";
import { discoveryContract } from "./discovery_contract.ts";

const attic = { hostname: "attic.local", port: 8911 };
const cellar = { hostname: "cellar.local", port: 8911 };

discoveryContract("merge() of two", {
  make: () => merge([new FixedDiscovery([attic]), new FixedDiscovery([cellar])]),
  finds: true,
});
discoveryContract("merge() of none", { make: () => merge([]), finds: false });
discoveryContract("merge() of merges", {
  make: () => merge([merge([]), merge([new FixedDiscovery([attic])])]),
  finds: true,
});

Deno.test("merge() yields what each of them finds, and names all", async () => {
  const both = merge([new FixedDiscovery([attic]), new FixedDiscovery([cellar])]);
  assert.equal(both.name, "fixed+fixed");
  const seen = new Set<string>();
  for await (const { address } of both.discover(new AbortController().signal)) {
    if (seen.add(address.hostname).size === 2) break;
  }
  assert.deepEqual([...seen].sort(), ["attic.local", "cellar.local"]);
});

Deno.test("merge() stops the others when one breaks, and throws what it threw", async () => {
  let ended = false;
  const broken: Discovery = {
    name: "broken",
    // deno-lint-ignore require-yield
    async *discover(): AsyncGenerator<Sighting> {
      await Promise.resolve();
      throw new Error("broken");
    },
  };
  const waiting: Discovery = {
    name: "waiting",
    // deno-lint-ignore require-yield
    async *discover(signal: AbortSignal): AsyncGenerator<Sighting> {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      ended = true;
    },
  };
  await assert.rejects(
    Array.fromAsync(merge([waiting, broken]).discover(new AbortController().signal)),
    /^Error: broken$/,
  );
  assert.ok(ended);
});

Deno.test("merge() waits for every goodbye before it ends", async () => {
  const started = Promise.withResolvers<void>();
  const goodbye = Promise.withResolvers<void>();
  const polite: Discovery = {
    name: "polite",
    async *discover(signal: AbortSignal): AsyncGenerator<Sighting> {
      const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      started.resolve();
      yield { source: "mdns", shortId: null, address: attic, gone: false };
      await aborted;
      await goodbye.promise;
    },
  };
  const stop = new AbortController();
  let over = false;
  const reading = Array.fromAsync(merge([polite, new FixedDiscovery([])]).discover(stop.signal)).then(() =>
    over = true
  );
  await started.promise;
  stop.abort();
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(!over);
  goodbye.resolve();
  await reading;
});
