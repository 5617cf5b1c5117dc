import { isIP } from "node:net";
import { hostname as machineName, networkInterfaces } from "node:os";

/** How long the machine's addresses are believed to be as they were, in milliseconds. */
const FRESH_MS = 5_000;

/** Options of {@linkcode HostNames}. */
export interface HostNamesOptions {
  /** Address that the listener is bound to. */
  bound: string;
  /** Names that the owner added. */
  allowed?: readonly string[];
}

/**
 * The names under which the owner's listener may be called. A page that had its own name resolve to this machine (DNS
 * rebinding) sends that name in `Host`, so it is not one of these: the loopback names, what the owner added, and for a
 * listener that others can reach the machine's own addresses, its name, and its name under `.local`.
 */
export class HostNames {
  readonly #bound: string;
  readonly #allowed: ReadonlySet<string>;
  #own: ReadonlySet<string> = new Set();
  #ownAt = -Infinity;

  /** Makes the list for one listener. */
  constructor({ bound, allowed = [] }: HostNamesOptions) {
    this.#bound = bound;
    this.#allowed = new Set(allowed.map((name) => name.toLowerCase()));
  }

  /** Whether a `Host` field names this listener. The port may be any: a tunnel may have put another in front. */
  has(host: string): boolean {
    const name = nameOf(host);
    if (name === null) return false;
    if (isLoopbackName(name) || this.#allowed.has(name)) return true;
    return !isLoopbackName(this.#bound) && this.#machine().has(name);
  }

  #machine(): ReadonlySet<string> {
    const now = performance.now();
    if (now - this.#ownAt < FRESH_MS) return this.#own;
    const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? []).map(({ address }) => address);
    const name = machineName().toLowerCase();
    const names = name === "" ? [] : name.endsWith(".local") ? [name] : [name, `${name}.local`];
    // Where it listens on every address, that is a way to say so and no address.
    const bound = ["0.0.0.0", "::"].includes(this.#bound) ? [] : [this.#bound];
    this.#own = new Set([...[...bound, ...addresses].map(plain), ...names]);
    this.#ownAt = now;
    return this.#own;
  }
}

/** The name in a `Host` field, in lower case and without brackets and port, or null where the field is malformed. */
function nameOf(host: string): string | null {
  const found = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_](?:[a-z0-9_-]|\.(?=[a-z0-9_]))*))(?::\d{1,5})?$/i.exec(host);
  if (found === null) return null;
  const [, six, name = ""] = found;
  return six === undefined ? name.toLowerCase() : isIP(six) === 6 ? plain(six) : null;
}

/** An address in the one spelling that is compared. */
function plain(address: string): string {
  const bare = address.replace(/%.*$/, "").toLowerCase();
  return isIP(bare) === 6 ? new URL(`http://[${bare}]`).hostname.slice(1, -1) : bare;
}

/** Whether a host name can only mean this machine: `localhost`, `127.…` or `[::1]`. */
export function isLoopbackName(name: string): boolean {
  const bare = name.replace(/^\[|\]$/g, "").toLowerCase();
  if (bare === "localhost" || bare.endsWith(".localhost") || bare === "::1") return true;
  return isIP(bare) === 4 && bare.startsWith("127.");
}

/** Whether an IP address is one that only this machine can call from. */
export function isLoopbackAddress(address: string): boolean {
  return address === "::1" || /^(?:::ffff:)?127(?:\.\d{1,3}){3}$/i.test(address);
}
