/** The head of a request as it came, read by the strictest grammar in which a peer's request can be written. */
export interface MeshHead {
  /** `GET` or `POST`. */
  readonly method: string;
  /** As it stands in the request line. */
  readonly target: string;
  /** Name, value, name, value…; the names in lower case. Each holds the whole head in memory: what is kept has to be a copy. */
  readonly rawHeaders: readonly string[];
  /** Bytes of the body. */
  readonly contentLength: number;
  /** Whether the caller wants the connection to end with the answer. */
  readonly last: boolean;
}

/**
 * A request line and fields, each with its line break. Visible ASCII, spaces and tabs, in which nothing has two readings:
 * no line that goes on in the next, no space before a colon, no line break but CR LF. Each character can be matched in one
 * way only, so that no head takes more than one look at each.
 */
const HEAD =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/(\d\.\d)\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*\r\n)*)$/;
const LENGTH = /^\d{1,15}$/;

/**
 * Reads a head up to its blank line, without that.
 *
 * `malformed` is what is no request at all, or one whose end could be seen in two places; `not_allowed` what asks for a method,
 * a version or a feature that no route has. Who sent it, and whether it may, is decided by what is in it later.
 */
export function readMeshHead(text: string): MeshHead | "malformed" | "not_allowed" {
  const parts = HEAD.exec(text);
  if (parts === null) return "malformed";
  const [, method = "", target = "", version, fields = ""] = parts;
  const rawHeaders: string[] = [];
  let length: string | null = null;
  let connection = "";
  let upgrade = false;
  let expects = false;
  for (let at = 0; at < fields.length;) {
    const colon = fields.indexOf(":", at);
    const end = fields.indexOf("\r\n", colon);
    const name = fields.slice(at, colon).toLowerCase();
    const value = fields.slice(colon + 1, end).trim();
    at = end + 2;
    rawHeaders.push(name, value);
    switch (name) {
      case "content-length":
        if (length !== null || !LENGTH.test(value)) return "malformed";
        length = value;
        break;
      case "transfer-encoding":
        // No peer sends chunks, each of which costs far more than it weighs.
        return "malformed";
      case "connection":
        connection += `,${value}`;
        break;
      case "upgrade":
        upgrade = true;
        break;
      case "expect":
        expects = true;
    }
  }
  // The version is not signed, so there is only one.
  if ((method !== "GET" && method !== "POST") || version !== "1.1" || expects) return "not_allowed";
  if (upgrade && /\bupgrade\b/i.test(connection)) return "not_allowed";
  const last = connection !== "" && /\bclose\b/i.test(connection);
  return { method, target, rawHeaders, contentLength: Number(length ?? 0), last };
}
