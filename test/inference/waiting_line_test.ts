import assert from "node:assert/strict";
import fc from "fast-check";
import { WaitingLine } from "../../src/inference/waiting_line.ts";

interface Numbered {
  priority: "owner" | "peer";
  number: number;
}

Deno.test("WaitingLine puts the owner before peers, and keeps the order within each", () => {
  const line = new WaitingLine<Numbered>(10);
  for (const [number, priority] of (["peer", "owner", "peer", "owner"] as const).entries()) {
    assert.equal(line.add({ priority, number }), undefined);
  }
  assert.deepEqual(line.list().map(({ number }) => number), [1, 3, 0, 2]);
});

Deno.test("WaitingLine never passes its length, and no peer keeps the owner out", () => {
  const steps = fc.array(fc.tuple(fc.constantFrom("owner", "peer"), fc.boolean()), { maxLength: 40 });
  fc.assert(fc.property(fc.integer({ min: 1, max: 6 }), steps, (most, all) => {
    const line = new WaitingLine<Numbered>(most);
    for (const [number, [priority, leaves]] of all.entries()) {
      const before = line.list();
      const waiter = { priority, number } as Numbered;
      const out = line.add(waiter);
      assert.ok(line.length <= most);
      if (before.length < most) assert.equal(out, undefined);
      else if (priority === "owner" && before.some((each) => each.priority === "peer")) {
        assert.equal(out, before.at(-1), "the last peer makes room");
      } else assert.equal(out, waiter);
      const owners = line.list().findLastIndex((each) => each.priority === "owner");
      const peers = line.list().findIndex((each) => each.priority === "peer");
      assert.ok(peers === -1 || owners < peers);
      if (leaves) assert.equal(line.remove(waiter), out !== waiter);
    }
  }));
});
