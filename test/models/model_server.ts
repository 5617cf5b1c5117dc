/** A web server with files of models that can be as bad as asked. */
import { createHash } from "node:crypto";

/** What goes wrong with an answer. */
export interface Mischief {
  /** Ends the connection after so many bytes of the body. */
  cutAfter?: number;
  /** Turns a bit of the byte at this place of the file. */
  flipAt?: number;
  /** Stops sending after so many bytes, and keeps the connection. */
  stallAfter?: number;
  /** Answers with this status and nothing else. */
  status?: number;
  /** Fields of the header in place of those that it would have. */
  headers?: Record<string, string>;
  /** Sends the whole file whatever is asked. */
  ignoresRanges?: boolean;
  /** Sends so many bytes more than there are. */
  tooMany?: number;
}

/** A request that came. */
export interface Seen {
  /** Path with query. */
  path: string;
  /** What `Range` said. */
  range: string | null;
  /** What `If-Range` said. */
  ifRange: string | null;
  /** What `Authorization` said. */
  authorization: string | null;
}

/** The server. */
export class ModelServer implements AsyncDisposable {
  /** Files by their path. */
  readonly files = new Map<string, Uint8Array | string>();
  /** Where a path redirects to. */
  readonly redirects = new Map<string, string>();
  /** Further fields by path. */
  readonly fields = new Map<string, Record<string, string>>();
  /** Entity tags by path; every file has one unless this says null. */
  readonly tags = new Map<string, string | null>();
  /** What goes wrong, one after the other; nothing when the list is empty. */
  mischief: (Mischief | null)[] = [];
  /** Only requests of such paths meet mischief. */
  victim = /\.gguf$|\/blobs\/|\/resolve\//;
  /** Paths that nobody gets without the token. */
  gated: RegExp | null = null;
  /** What opens them. */
  token = "";
  /** Every request so far. */
  readonly seen: Seen[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #served: Promise<void>;

  private constructor() {
    this.#served = this.#serve();
  }

  /** Listens on the loopback. */
  static start(): ModelServer {
    return new ModelServer();
  }

  /** Its base URL. */
  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** Requests that are not answered to their end. */
  get open(): number {
    return this.#connections.size;
  }

  /** Requests for a file. */
  asked(path: string): Seen[] {
    return this.seen.filter((one) => one.path === path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) close(connection);
    await this.#served;
  }

  async #serve(): Promise<void> {
    const answers: Promise<void>[] = [];
    for await (const connection of this.#listener) {
      this.#connections.add(connection);
      answers.push(this.#answer(connection).catch(() => {}).finally(() => this.#connections.delete(connection)));
    }
    await Promise.all(answers);
  }

  /** Answers one request, and closes. Written by hand: no library for servers tells lies. */
  async #answer(connection: Deno.TcpConn): Promise<void> {
    const head = await readHead(connection);
    const path = /^\S+ (\S+)/.exec(head)?.[1] ?? "";
    const range = /^range: (.*)$/im.exec(head)?.[1]?.trim() ?? null;
    const ifRange = /^if-range: (.*)$/im.exec(head)?.[1]?.trim() ?? null;
    const authorization = /^authorization: (.*)$/im.exec(head)?.[1]?.trim() ?? null;
    this.seen.push({ path, range, ifRange, authorization });
    if (this.gated?.test(path) && authorization !== `Bearer ${this.token}`) {
      await writeAll(connection, new TextEncoder().encode("HTTP/1.1 401 Said\r\ncontent-length: 0\r\n\r\n"));
      close(connection);
      return;
    }
    const { status, headers, body, mischief } = this.#answerTo(path, { range, ifRange });
    const lines = [`HTTP/1.1 ${status} Said`, "connection: close"];
    for (const [name, value] of Object.entries(headers)) if (value !== "") lines.push(`${name}: ${value}`);
    await writeAll(connection, new TextEncoder().encode(lines.join("\r\n") + "\r\n\r\n"));
    const { cutAfter, stallAfter } = mischief;
    await writeAll(connection, body.subarray(0, cutAfter ?? stallAfter ?? body.length));
    if (stallAfter !== undefined) await connection.read(new Uint8Array(1));
    close(connection);
  }

  #answerTo(path: string, { range, ifRange }: Pick<Seen, "range" | "ifRange">) {
    const nothing = { headers: { "content-length": "0" } as Record<string, string>, body: new Uint8Array() };
    const to = this.redirects.get(path);
    const fields = this.fields.get(path) ?? {};
    if (to !== undefined) {
      return { ...nothing, status: 302, headers: { ...nothing.headers, location: to, ...fields }, mischief: {} };
    }
    const content = this.files.get(path);
    if (content === undefined) return { ...nothing, status: 404, mischief: {} };
    const mischief = this.victim.test(path) ? this.mischief.shift() ?? {} : {};
    if (mischief.status !== undefined) return { ...nothing, status: mischief.status, mischief };
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content.slice();
    const tag = this.tags.has(path) ? this.tags.get(path) ?? "" : `"tag-of-${path.length}"`;
    const whole = mischief.ignoresRanges || range === null || (ifRange !== null && ifRange !== tag);
    const [, from, last = ""] = whole ? [] : /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
    const start = whole ? 0 : Number(from);
    if (start >= bytes.length) return { ...nothing, status: 416, mischief };
    const end = last === "" ? bytes.length : Math.min(bytes.length, Number(last) + 1);
    if (mischief.flipAt !== undefined) bytes[mischief.flipAt] = (bytes[mischief.flipAt] ?? 0) ^ 1;
    const body = new Uint8Array(end - start + (mischief.tooMany ?? 0));
    body.set(bytes.subarray(start, end));
    const headers = {
      "content-length": String(end - start),
      etag: tag,
      "content-range": whole ? "" : `bytes ${start}-${end - 1}/${bytes.length}`,
      ...fields,
      ...mischief.headers,
    };
    return { status: whole ? 200 : 206, headers, body, mischief };
  }
}

async function readHead(connection: Deno.TcpConn): Promise<string> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(16_384);
  for (let head = "";;) {
    const read = await connection.read(chunk);
    if (read === null) throw new Error("The client left");
    head += decoder.decode(chunk.subarray(0, read));
    if (head.includes("\r\n\r\n")) return head;
  }
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    return;
  }
}

/** A repository of Hugging Face with such files. */
export function repository(server: ModelServer, path: string, files: Record<string, Uint8Array>): void {
  const revision = "c0ffee".padEnd(40, "0");
  server.files.set(
    `/api/models/${path}/revision/main?blobs=true`,
    JSON.stringify({
      sha: revision,
      siblings: Object.entries(files).map(([rfilename, bytes]) => ({
        rfilename,
        size: bytes.length,
        lfs: { sha256: digestOf(bytes), size: bytes.length, pointerSize: 134 },
      })),
    }),
  );
  for (const [name, bytes] of Object.entries(files)) {
    const at = `/cdn/${path}/${name}`;
    server.files.set(at, bytes);
    const resolve = `/${path}/resolve/${revision}/${name}`;
    server.redirects.set(resolve, server.url + at);
    server.fields.set(resolve, { "x-linked-etag": `"${digestOf(bytes)}"`, "x-linked-size": String(bytes.length) });
  }
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
