import { Buffer } from "node:buffer";

/** Fields that say how a message is framed: they are the connection's, and no handler's. */
const OWN_FIELDS: ReadonlySet<string> = new Set(["connection", "content-length", "transfer-encoding", "keep-alive"]);

/** The head of an answer; `framing` is fields that say where its body ends, each with its line break. */
export function headBytes({ status, headers }: Response, framing: string): Uint8Array {
  let text = `HTTP/1.1 ${status} ${reasonOf(status)}\r\n`;
  // Not by its iterator, which makes an object and an array for each field.
  headers.forEach((value, name) => {
    if (!OWN_FIELDS.has(name)) text += `${name}: ${value}\r\n`;
  });
  if (!headers.has("date")) text += `date: ${new Date().toUTCString()}\r\n`;
  return Buffer.from(`${text}${framing}\r\n`, "latin1");
}

/** What a status is called; nothing for a rare one. */
export function reasonOf(status: number): string {
  return REASONS[status] ?? "";
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};
