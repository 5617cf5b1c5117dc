import assert from "node:assert/strict";
import type { Discovery, Sighting } from "@ark/node/discovery";

/** What every {@linkcode Discovery} promises, whatever it finds. */
export function discoveryContract(label: string, options: {
  make(): Discovery;
  /** Whether it finds something without anybody's help. */
  finds: boolean;
  ignore?: boolean;
}): void {
  const { make, finds, ignore = false } = options;

  Deno.test({ ignore, name: `${label}: has a name for messages` }, () => {
    assert.match(make().name, /^[a-z]+(\+[a-z]+)*$/);
  });

  Deno.test({ ignore, name: `${label}: ends at once when the signal has fired before` }, async () => {
    assert.deepEqual(await Array.fromAsync(make().discover(AbortSignal.abort())), []);
  });

  Deno.test({ ignore, name: `${label}: ends without an error when the signal fires while it waits` }, async () => {
    const stop = new AbortController();
    const seen: Sighting[] = [];
    // The first sighting may be one of several that are there at once; after it, it waits.
    const abort = () => setTimeout(() => stop.abort(), 0);
    if (!finds) abort();
    for await (const sighting of make().discover(stop.signal)) if (seen.push(sighting) === 1) abort();
    assert.equal(seen.length > 0, finds);
    for (const { shortId, address } of seen) {
      assert.ok(shortId === null || shortId.length === 8);
      assert.ok(address.hostname.length > 0 && address.port >= 1 && address.port <= 65_535);
    }
  });

  // The sanitizers of the test see a timer or a socket that stays.
  Deno.test({ ignore, name: `${label}: lets go of everything when the consumer stops reading` }, async () => {
    const stop = new AbortController();
    const iterator = make().discover(stop.signal)[Symbol.asyncIterator]();
    const first = iterator.next();
    if (finds) assert.ok(!(await first).done);
    else {
      stop.abort();
      assert.ok((await first).done);
    }
    await iterator.return?.();
    assert.ok((await iterator.next()).done);
  });

  Deno.test({ ignore, name: `${label}: can be asked again after it ended, and twice at once` }, async () => {
    const discovery = make();
    for (let round = 0; round < 2; round++) {
      const stop = new AbortController();
      const runs = [1, 2].map(() => discovery.discover(stop.signal)[Symbol.asyncIterator]());
      const first = runs.map((run) => run.next());
      if (finds) { for (const { done } of await Promise.all(first)) assert.ok(!done); }
      stop.abort();
      await Promise.all(runs.map((run) => run.return?.()));
      await Promise.all(first);
    }
  });
}
