import { isIPv6 } from "node:net";
import type { PeerAddress } from "@ark/node/transport";

const HOSTNAME_REGEXP =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?$/i;
const FORMS = "write HOST:PORT, such as 192.168.1.20:8911, attic.local:8911 or [fd00::20]:8911";

/**
 * Reads `HOST:PORT`, or `HOST` alone, where an IPv6 address stands in brackets. The host is kept as it was typed (names
 * are resolved when they are dialled), an IPv6 address without its brackets. Port 0 is accepted, since a listener may
 * be told to take any free port.
 *
 * @throws {SyntaxError} that says what is wrong with the text.
 */
export function parsePeerAddress(text: string, defaultPort = 8911): PeerAddress {
  const trimmed = text.trim();
  if (trimmed === "") throw new SyntaxError(`Cannot read an address from an empty text: ${FORMS}`);
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(trimmed)?.[0];
  if (scheme !== undefined) {
    throw new SyntaxError(`Cannot read the address ${quoted(text)}: leave out ${quoted(scheme)} and ${FORMS}`);
  }
  if (isIPv6(trimmed.replace(/%.*$/, ""))) {
    throw new SyntaxError(
      `Cannot read the address ${
        quoted(text)
      }: an IPv6 address stands in brackets, such as [${trimmed}]:${defaultPort}`,
    );
  }
  const bracketed = /^\[([^\[\]]*)\](?::(.*))?$/.exec(trimmed);
  if (bracketed !== null) {
    const [, hostname = "", port] = bracketed;
    if (!isIPv6(hostname)) {
      throw new SyntaxError(`Cannot read the address ${quoted(text)}: ${quoted(hostname)} is no IPv6 address`);
    }
    return { hostname, port: portOf(port, { text, defaultPort }) };
  }
  const [hostname = "", port, ...rest] = trimmed.split(":");
  if (rest.length > 0) throw new SyntaxError(`Cannot read the address ${quoted(text)}: too many colons; ${FORMS}`);
  if (!HOSTNAME_REGEXP.test(hostname) || looksLikeBrokenIPv4(hostname)) {
    throw new SyntaxError(
      `Cannot read the address ${quoted(text)}: ${quoted(hostname)} is neither a host name nor an IP address; ${FORMS}`,
    );
  }
  return { hostname, port: portOf(port, { text, defaultPort }) };
}

function portOf(digits: string | undefined, { text, defaultPort }: { text: string; defaultPort: number }): number {
  if (digits === undefined) return defaultPort;
  if (!/^\d{1,5}$/.test(digits) || Number(digits) > 65_535) {
    throw new SyntaxError(`Cannot read the address ${quoted(text)}: ${quoted(digits)} is no port from 1 to 65535`);
  }
  return Number(digits);
}

/** A name of digits and dots only is read by resolvers as some IPv4 address, often not the one that was meant. */
function looksLikeBrokenIPv4(hostname: string): boolean {
  if (!/^(0x[0-9a-f]+|\d+)(\.(0x[0-9a-f]+|\d+))*\.?$/i.test(hostname)) return false;
  return !/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(hostname) ||
    hostname.split(".").some((part) => Number(part) > 255);
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? text.slice(0, 80) + "…" : text);
}
