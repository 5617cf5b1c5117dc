import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { MESH_LIMITS } from "@ark/node/transport";
import { MeshSockets } from "../../src/transport/mesh_sockets.ts";
import { SourceLimiter } from "../../src/transport/source_limiter.ts";
import { FakeClock } from "./mesh_fixture.ts";

/** As much of a socket as is needed to be found again. */
class Ends extends EventEmitter {
  destroyed = false;
  readonly remoteAddress = "192.0.2.1";
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort = 8911;

  constructor({ remotePort = 5_000, localAddress = "192.0.2.9" } = {}) {
    super();
    this.remotePort = remotePort;
    this.localAddress = localAddress;
  }

  setNoDelay(): void {}

  resetAndDestroy(): void {
    this.destroy();
  }

  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }

  /** Another object for the same connection, as a TLS socket is for its TCP socket. */
  get socket(): Socket {
    return { ...this, remoteAddress: this.remoteAddress } as unknown as Socket;
  }
}

function admit(sockets: MeshSockets, ends: Ends): boolean {
  return sockets.admit(ends as unknown as Socket);
}

function openSockets({ most = 256 } = {}): MeshSockets {
  return new MeshSockets(new SourceLimiter(MESH_LIMITS, new FakeClock()), { most });
}

Deno.test("MeshSockets.destroy() destroys the connections on which a key proved itself, and no others", () => {
  const sockets = openSockets();
  const all = [5_000, 5_001, 5_002].map((remotePort) => new Ends({ remotePort }));
  for (const ends of all) assert.ok(admit(sockets, ends));
  for (const [at, id] of [[0, "alice"], [0, "carol"], [1, "alice"], [2, "carol"]] as const) {
    sockets.proven(all[at]?.socket ?? assert.fail(), id);
  }
  assert.equal(sockets.destroy("alice"), 2);
  assert.deepEqual(all.map(({ destroyed }) => destroyed), [true, true, false]);
  assert.equal(sockets.destroy("alice"), 0);
  sockets.destroyAll();
  assert.ok(all[2]?.destroyed);
});

Deno.test("MeshSockets.destroyAll() is the end: a connection that is told of afterwards is destroyed, too", () => {
  const sockets = openSockets();
  sockets.destroyAll();
  const late = new Ends();
  assert.ok(!admit(sockets, late) && late.destroyed);
});

Deno.test("MeshSockets.destroy() tells connections from one port of a caller to two of our addresses apart", () => {
  const sockets = openSockets();
  const [lan, tunnel] = [new Ends(), new Ends({ localAddress: "10.9.0.1" })];
  for (const ends of [lan, tunnel]) {
    assert.ok(admit(sockets, ends));
    sockets.proven(ends.socket, "alice");
  }
  assert.equal(sockets.destroy("alice"), 2);
  assert.ok(lan.destroyed && tunnel.destroyed);
});

Deno.test("MeshSockets.admit() destroys what its source has too many of, and gives places back", () => {
  const sockets = openSockets();
  const all = Array.from({ length: 9 }, (_, i) => new Ends({ remotePort: 5_000 + i }));
  assert.deepEqual(all.map((ends) => admit(sockets, ends)), all.map((_, i) => i < 8));
  assert.ok(all[8]?.destroyed);
  all[0]?.destroy();
  assert.ok(admit(sockets, new Ends({ remotePort: 6_000 })));
});

Deno.test("MeshSockets.admit() destroys what is too much in all", () => {
  const sockets = openSockets({ most: 2 });
  const all = [5_000, 5_001, 5_002].map((remotePort) => new Ends({ remotePort }));
  assert.deepEqual(all.map((ends) => admit(sockets, ends)), [true, true, false]);
  all[1]?.destroy();
  assert.ok(admit(sockets, new Ends({ remotePort: 6_000 })));
});

Deno.test("MeshSockets.proven() does not mind a connection that is gone", () => {
  const sockets = openSockets();
  const ends = new Ends();
  admit(sockets, ends);
  ends.destroy();
  sockets.proven(ends.socket, "alice");
  assert.equal(sockets.destroy("alice"), 0);
});
