import { escaped } from "./escaped.ts";

/** How urgent a line is, from the least to the most. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/**
 * Everything a line may say beside its message. There is no field for text of a prompt or an answer, and what is not
 * in this list never reaches the log.
 */
export interface LogFields {
  /** Node id of a peer, whole or short. */
  peer?: string | undefined;
  /** Model as the request names it. */
  model?: string | undefined;
  /** Error code, wire code or exit code. */
  code?: string | undefined;
  /** Why, in a sentence of ours. */
  reason?: string | undefined;
  /** SHA-256 of the request's signature, hex. */
  request?: string | undefined;
  /** Role that a line is about. */
  role?: string | undefined;
  /** Name of a service, a discovery or a backend. */
  name?: string | undefined;
  /** HTTP method. */
  method?: string | undefined;
  /** Path of a file or of a URL without its query. */
  path?: string | undefined;
  /** Host name or IP address. */
  address?: string | undefined;
  /** Operating system's error code or signal, such as `ENOSPC` or `SIGKILL`. */
  signal?: string | undefined;
  /** SHA-256 of a file, hex. */
  digest?: string | undefined;
  /** Version of a program or a protocol. */
  version?: string | undefined;
  /** TCP or UDP port. */
  port?: number | undefined;
  /** Process id. */
  pid?: number | undefined;
  /** HTTP status or exit status. */
  status?: number | undefined;
  /** Duration in milliseconds. */
  ms?: number | undefined;
  /** Tokens of a prompt or an answer. */
  tokens?: number | undefined;
  /** Number of things the message names. */
  count?: number | undefined;
  /** Size in bytes. */
  bytes?: number | undefined;
  /** Sequence number of an audit entry. */
  seq?: number | undefined;
}

/** The allow-list at run time, in the order of a line. `satisfies` keeps it equal to {@linkcode LogFields}. */
const FIELDS = {
  role: "string",
  name: "string",
  peer: "string",
  model: "string",
  method: "string",
  path: "string",
  address: "string",
  port: "number",
  status: "number",
  code: "string",
  signal: "string",
  reason: "string",
  tokens: "number",
  count: "number",
  bytes: "number",
  seq: "number",
  ms: "number",
  pid: "number",
  version: "string",
  digest: "string",
  request: "string",
} satisfies Record<keyof LogFields, "string" | "number">;

const SEVERITY: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Longest message and longest value of a field, in characters. */
const MESSAGE_LENGTH = 1_000;
const VALUE_LENGTH = 400;

const BARE_REGEXP = /^[\w.:/@+,[\]-]+$/;

/** Options of {@linkcode Logger}. */
export interface LoggerOptions {
  /**
   * The least urgent level that is written.
   *
   * @default {"info"}
   */
  level?: LogLevel;
  /** Takes one line without its line feed. The default appends it to standard error and never throws. */
  write?: (line: string) => void;
  /**
   * `text` is for people (`time LEVEL message key=value`), `json` for programs: one object a line.
   *
   * @default {"text"}
   */
  format?: "text" | "json";
}

/**
 * Writes one line per event. Only fields of {@linkcode LogFields} with the right kind of value are written, each with
 * control and bidirectional characters escaped and cut to a bounded length, so that neither a careless caller nor a
 * hostile name can put anything else there.
 */
export class Logger {
  #severity: number;
  readonly #write: (line: string) => void;
  readonly #format: "text" | "json";

  /** Makes a logger; without options it writes text from level `info` to standard error. */
  constructor({ level = "info", write = writeToStandardError, format = "text" }: LoggerOptions = {}) {
    this.#severity = SEVERITY[level];
    this.#write = write;
    this.#format = format;
  }

  /** Sets the least urgent level that is written from now on. */
  setLevel(level: LogLevel): void {
    this.#severity = SEVERITY[level];
  }

  /** Writes what only matters when looking for a fault. */
  debug(message: string, fields?: LogFields): void {
    this.#log("debug", message, fields);
  }

  /** Writes what an owner may want to know. */
  info(message: string, fields?: LogFields): void {
    this.#log("info", message, fields);
  }

  /** Writes what an owner should look at. */
  warn(message: string, fields?: LogFields): void {
    this.#log("warn", message, fields);
  }

  /** Writes what does not work. */
  error(message: string, fields?: LogFields): void {
    this.#log("error", message, fields);
  }

  #log(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (SEVERITY[level] < this.#severity) return;
    const time = new Date().toISOString();
    const safeMessage = escaped(String(message), MESSAGE_LENGTH);
    const safeFields = allowed(fields);
    if (this.#format === "json") {
      this.#write(JSON.stringify({ time, level, message: safeMessage, ...Object.fromEntries(safeFields) }));
      return;
    }
    let line = `${time} ${level.toUpperCase().padEnd(5)} ${safeMessage}`;
    for (const [name, value] of safeFields) line += ` ${name}=${quoted(value)}`;
    this.#write(line);
  }
}

function allowed(fields: LogFields): [string, string | number][] {
  const kept: [string, string | number][] = [];
  for (const [name, kind] of Object.entries(FIELDS)) {
    if (!Object.hasOwn(fields, name)) continue;
    const value: unknown = fields[name as keyof LogFields];
    if (kind === "string" && typeof value === "string") kept.push([name, escaped(value, VALUE_LENGTH)]);
    if (kind === "number" && Number.isFinite(value)) kept.push([name, Math.round(value as number * 1000) / 1000]);
  }
  return kept;
}

/** A value as it stands after `=`: bare where nothing in it can be taken for the end of the value. */
function quoted(value: string | number): string {
  return typeof value === "number" || BARE_REGEXP.test(value) ? String(value) : JSON.stringify(value);
}

function writeToStandardError(line: string): void {
  const bytes = new TextEncoder().encode(line + "\n");
  try {
    for (let written = 0; written < bytes.length;) written += Deno.stderr.writeSync(bytes.subarray(written));
  } catch {
    // A log that cannot be written must not stop the node: the terminal is gone, or the pipe's reader is.
  }
}
