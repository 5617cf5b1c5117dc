/**
 * A TCP link that goes wrong as told: it lies between two nodes, forwards bytes, and can be slow, uneven, narrow, torn or
 * dead in either direction. It reads nothing: what passes is TLS that is pinned to the far end's key.
 *
 * ```ts ignore
 * await using link = await FaultProxy.listen({ hostname: "127.0.0.1", port: 8911 });
 * link.shape("down", { latencyMs: 20, jitterMs: 10, sliceBytes: 7 });
 * link.fail("reset", { direction: "down", afterBytes: 5_000 }); // Or at once, without `afterBytes`.
 * await link.failed;
 * link.heal();
 * ```
 *
 * @module
 */
import net from "node:net";
import { seeded } from "./seeded.ts";

/** `up` is from whoever dialled to the target, `down` is back. */
export type Direction = "up" | "down";

/** How a direction of the link is. What is absent is as on a perfect one. */
export interface Shape {
  /** Each byte comes so much later, in milliseconds. */
  latencyMs?: number;
  /** And up to so much later on top, at random for each chunk; the order stays. */
  jitterMs?: number;
  /** This share of the chunks comes much later: by so many milliseconds on average, exponentially distributed. */
  hiccups?: { share: number; meanMs: number };
  /** At most so many bytes in a second. */
  bytesPerSecond?: number;
  /** Written in slices of so many bytes, each for itself. */
  sliceBytes?: number;
}

/**
 * What can happen to a link.
 *
 * | fault | effect |
 * |---|---|
 * | `reset` | every connection ends with RST on both sides; later ones work |
 * | `refuse` | the same, and later ones are reset, too |
 * | `black-hole` | nothing is forwarded any more in the direction, nor on new connections; {@linkcode FaultProxy.heal} lets it go on |
 * | `half-close` | the receiver of the direction sees the end of the stream (FIN), the other direction goes on |
 * | `corrupt` | one byte is another |
 */
export type Fault = "reset" | "refuse" | "black-hole" | "half-close" | "corrupt";

/** When and where a fault strikes. */
export interface FaultOptions {
  /** Which direction; a reset always strikes both. @default {"down"} */
  direction?: Direction | "both";
  /** After so many more bytes in the direction, on all connections together. @default {0} */
  afterBytes?: number;
}

interface Chunk {
  readonly bytes: Uint8Array;
  readonly dueAt: number;
}

interface Armed {
  readonly fault: Fault;
  readonly direction: Direction | "both";
  readonly countedBy: Direction;
  left: number;
}

/** Bytes on their way in one direction; more than this stay where they come from. */
const MOST_UNDERWAY = 256 << 10;

/** The link. */
export class FaultProxy implements AsyncDisposable {
  /** Bytes forwarded so far. */
  readonly bytes: Record<Direction, number> = { up: 0, down: 0 };
  /** The shapes of both directions. */
  readonly shapes: Record<Direction, Shape> = { up: {}, down: {} };
  /** Resolves when the fault that was armed last has struck. */
  failed: Promise<void> = Promise.resolve();
  /** Connections so far. */
  accepted = 0;
  readonly #server: net.Server;
  readonly #target: { hostname: string; port: number };
  readonly #links = new Set<Link>();
  readonly #held = new Set<Direction>();
  readonly #random: () => number;
  #refusing = false;
  #armed: Armed | null = null;
  #struck: () => void = () => {};

  private constructor(server: net.Server, target: { hostname: string; port: number }, seed: number) {
    this.#server = server;
    this.#target = target;
    this.#random = seeded(seed);
  }

  /** Listens on a free port of the loopback; every connection is led to the target. */
  static async listen(
    target: { hostname: string; port: number },
    options: { seed?: number } = {},
  ): Promise<FaultProxy> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true });
    const proxy = new FaultProxy(server, target, options.seed ?? 1);
    server.on("connection", (socket) => proxy.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  /** Where it listens. */
  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** Where it listens, as `--peer` takes it. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#links.size;
  }

  /** From now on a direction is like this. */
  shape(direction: Direction | "both", shape: Shape): void {
    for (const each of directionsOf(direction)) this.shapes[each] = shape;
  }

  /** Arms a fault; without a number of bytes it strikes at once. A later one takes the place of one that has not struck. */
  fail(fault: Fault, { direction = "down", afterBytes = 0 }: FaultOptions = {}): void {
    const countedBy = direction === "both" ? "down" : direction;
    const armed: Armed = { fault, direction, countedBy, left: afterBytes };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.failed = promise;
    this.#struck = resolve;
    this.#armed = armed;
    if (afterBytes === 0 && fault !== "corrupt") this.#strike(armed);
  }

  /** The link is perfect again. What a black hole kept goes on; what was reset or closed stays so. */
  heal(): void {
    this.#armed = null;
    this.#refusing = false;
    this.#held.clear();
    this.shape("both", {});
    for (const link of this.#links) link.flow();
  }

  /** Whether nothing passes in a direction. */
  holds(direction: Direction): boolean {
    return this.#held.has(direction);
  }

  /** 0 to 1, the same each time that the seed is the same. */
  random(): number {
    return this.#random();
  }

  /** How many bytes may pass before the fault strikes. */
  allowed(direction: Direction): number {
    return this.#armed?.countedBy === direction ? this.#armed.left : Infinity;
  }

  /** Counts bytes that are about to be written, and returns them as they are to be written. */
  pass(direction: Direction, bytes: Uint8Array): Uint8Array {
    this.bytes[direction] += bytes.length;
    const armed = this.#armed;
    if (armed === null || armed.countedBy !== direction) return bytes;
    armed.left -= bytes.length;
    if (armed.fault !== "corrupt" || armed.left > 0) return bytes;
    this.#over();
    const changed = bytes.slice();
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 0xff;
    return changed;
  }

  /** Told after bytes were written: a fault that is due strikes now. */
  passed(): void {
    const armed = this.#armed;
    if (armed !== null && armed.left <= 0 && armed.fault !== "corrupt") this.#strike(armed);
  }

  /** A connection is over. */
  forget(link: Link): void {
    this.#links.delete(link);
  }

  /** Ends every connection, and listens no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of [...this.#links]) link.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #strike({ fault, direction }: Armed): void {
    this.#over();
    if (fault === "reset" || fault === "refuse") {
      this.#refusing = fault === "refuse";
      for (const link of [...this.#links]) link.reset();
    } else if (fault === "black-hole") { for (const each of directionsOf(direction)) this.#held.add(each); }
    else if (fault === "half-close") {
      for (const link of this.#links) for (const each of directionsOf(direction)) link.finish(each);
    }
  }

  #over(): void {
    this.#armed = null;
    this.#struck();
  }

  #accept(near: net.Socket): void {
    this.accepted++;
    if (this.#refusing) {
      near.on("error", () => {});
      near.resetAndDestroy();
      return;
    }
    const { hostname: host, port } = this.#target;
    const far = net.connect({ host, port, allowHalfOpen: true, noDelay: true });
    this.#links.add(new Link(this, near, far));
  }
}

/** One connection through the proxy. */
class Link {
  readonly #proxy: FaultProxy;
  readonly #near: net.Socket;
  readonly #far: net.Socket;
  readonly #lanes: Record<Direction, Lane>;
  #closed = 0;

  constructor(proxy: FaultProxy, near: net.Socket, far: net.Socket) {
    this.#proxy = proxy;
    this.#near = near;
    this.#far = far;
    this.#lanes = {
      up: new Lane(proxy, "up", { from: near, to: far }),
      down: new Lane(proxy, "down", { from: far, to: near }),
    };
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      socket.on("error", () => {
        // Whoever is cut off on one side is cut off on the other: a dead end is no fault that was asked for.
        other.resetAndDestroy();
      });
      socket.on("close", () => {
        if (++this.#closed === 2) this.#over();
      });
    }
  }

  flow(): void {
    for (const lane of Object.values(this.#lanes)) lane.flow();
  }

  finish(direction: Direction): void {
    this.#lanes[direction].finish();
  }

  reset(): void {
    for (const lane of Object.values(this.#lanes)) lane.stop();
    this.#near.resetAndDestroy();
    this.#far.resetAndDestroy();
    this.#proxy.forget(this);
  }

  destroy(): void {
    for (const lane of Object.values(this.#lanes)) lane.stop();
    this.#near.destroy();
    this.#far.destroy();
    this.#proxy.forget(this);
  }

  #over(): void {
    for (const lane of Object.values(this.#lanes)) lane.stop();
    this.#proxy.forget(this);
  }
}

/** One direction of a connection: a line of chunks, each with the time at which it is due. */
class Lane {
  readonly #proxy: FaultProxy;
  readonly #direction: Direction;
  readonly #from: net.Socket;
  readonly #to: net.Socket;
  #line: Chunk[] = [];
  #underway = 0;
  /** When the chunk before is due, so that none overtakes it; and when the link is free again. */
  #lastDue = 0;
  #freeAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  #over = false;

  constructor(proxy: FaultProxy, direction: Direction, { from, to }: { from: net.Socket; to: net.Socket }) {
    this.#proxy = proxy;
    this.#direction = direction;
    this.#from = from;
    this.#to = to;
    from.on("data", (bytes: Uint8Array) => this.#take(bytes));
    from.on("end", () => {
      this.#ended = true;
      this.flow();
    });
    to.on("drain", () => this.flow());
  }

  stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#line = [];
  }

  /** The receiver sees the end now, whatever is still underway; what the sender writes further is lost. */
  finish(): void {
    if (this.#over) return;
    this.stop();
    this.#to.end();
    this.#from.resume();
  }

  /** Writes all that is due. */
  flow(): void {
    clearTimeout(this.#timer);
    const { shapes } = this.#proxy;
    while (!this.#over && !this.#proxy.holds(this.#direction)) {
      const [chunk] = this.#line;
      if (chunk === undefined) {
        if (this.#ended) {
          this.#over = true;
          this.#to.end();
        }
        return;
      }
      const now = performance.now();
      const { bytesPerSecond = Infinity } = shapes[this.#direction];
      const wait = Math.max(chunk.dueAt, this.#freeAt) - now;
      if (wait > 0) return void (this.#timer = setTimeout(() => this.flow(), wait));
      if (this.#to.writableNeedDrain) return;
      this.#freeAt = Math.max(this.#freeAt, now - 5) + 1_000 * chunk.bytes.length / bytesPerSecond;
      this.#write(chunk);
    }
  }

  #write(chunk: Chunk): void {
    const most = Math.min(chunk.bytes.length, this.#proxy.allowed(this.#direction));
    const bytes = chunk.bytes.subarray(0, most);
    this.#line.shift();
    if (most < chunk.bytes.length) this.#line.unshift({ ...chunk, bytes: chunk.bytes.subarray(most) });
    this.#underway -= bytes.length;
    if (this.#underway < MOST_UNDERWAY) this.#from.resume();
    if (bytes.length > 0) this.#to.write(this.#proxy.pass(this.#direction, bytes));
    this.#proxy.passed();
  }

  #take(bytes: Uint8Array): void {
    if (this.#over) return;
    const { latencyMs = 0, jitterMs = 0, hiccups, bytesPerSecond, sliceBytes } = this.#proxy.shapes[this.#direction];
    const random = () => this.#proxy.random();
    const hiccupMs = hiccups !== undefined && random() < hiccups.share ? -hiccups.meanMs * Math.log(1 - random()) : 0;
    // A narrow link passes small pieces one after the other, and not a large one after a long wait.
    const most = sliceBytes ?? (bytesPerSecond === undefined ? Infinity : Math.max(1, Math.ceil(bytesPerSecond / 100)));
    this.#lastDue = Math.max(this.#lastDue, performance.now() + latencyMs + jitterMs * random() + hiccupMs);
    for (let at = 0; at < bytes.length; at += most) {
      this.#line.push({ bytes: bytes.subarray(at, Math.min(bytes.length, at + most)), dueAt: this.#lastDue });
    }
    this.#underway += bytes.length;
    if (this.#underway >= MOST_UNDERWAY) this.#from.pause();
    this.flow();
  }
}

function directionsOf(direction: Direction | "both"): Direction[] {
  return direction === "both" ? ["up", "down"] : [direction];
}
