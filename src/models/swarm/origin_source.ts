import { ArkError, Bitfield, CHUNK_BYTES, chunkCount, chunkLength } from "@ark/node/protocol";
import { requestFollowing, statusError, strongTag } from "../pull/http_source.ts";
import { shown } from "../pull/safe_name.ts";
import type { PieceRequest, PieceSource } from "./piece_source.ts";

/** A file of a web server as a source: Hugging Face, a registry of Ollama, a bucket, anything that knows ranges. */
export class OriginSource implements PieceSource {
  readonly key: string;
  readonly name: string;
  readonly kind = "origin";
  readonly #url: URL;
  readonly #size: number;
  readonly #token: string | null;
  /** Where the address led the last time: redirects of large files are good for a while. */
  #resolved: URL | null = null;
  #etag: string | null = null;
  /** Why it gives nothing any more. */
  #fault: ArkError | null = null;

  /** Makes one; nothing is asked yet. The owner's token, where one belongs there, is for the origin of `url` alone. */
  constructor(url: URL, { size, token = null }: { size: number; token?: string | null }) {
    this.key = url.href;
    this.name = url.host;
    this.#url = url;
    this.#size = size;
    this.#token = token;
  }

  have(): Promise<Bitfield> {
    if (this.#fault !== null) return Promise.reject(this.#fault);
    return Promise.resolve(Bitfield.full(chunkCount(this.#size)));
  }

  async fetch(index: number, { signal, into, arrived }: PieceRequest): Promise<Uint8Array> {
    const length = chunkLength(this.#size, index);
    const from = index * CHUNK_BYTES;
    const response = await this.#ask(`bytes=${from}-${from + length - 1}`, signal);
    try {
      try {
        this.#check(response, { from, length });
      } catch (error) {
        if (error instanceof ArkError && error.code !== "busy") this.#fault = error;
        throw error;
      }
      let at = 0;
      for await (const piece of response.body ?? []) {
        if (piece.length > length - at) return into.subarray(0, 0);
        into.set(piece, at);
        at += piece.length;
        arrived?.(at);
      }
      if (at < length) throw new Error("it broke off");
      return into.subarray(0, length);
    } finally {
      await response.body?.cancel().catch(() => {});
    }
  }

  async #ask(range: string, signal: AbortSignal): Promise<Response> {
    const headers = { range, ...this.#etag === null ? {} : { "if-range": this.#etag } };
    const at = this.#resolved;
    if (at !== null) {
      const { response } = await requestFollowing(at, { headers, signal });
      if (response.status === 206) return response;
      await response.body?.cancel();
      this.#resolved = null;
    }
    const { response } = await requestFollowing(this.#url, { headers, token: this.#token, signal });
    const url = URL.parse(response.url);
    if (response.status === 206 && url !== null) this.#resolved = url;
    return response;
  }

  #check(response: Response, { from, length }: { from: number; length: number }): void {
    const { status, headers } = response;
    const { host } = this.#url;
    if (status === 429 || status === 503) {
      const seconds = Number(/^\d{1,4}$/.exec(headers.get("retry-after") ?? "")?.[0] ?? 2);
      throw new ArkError("busy", `${host} asks to wait`, { retryAfterSeconds: seconds });
    }
    if (status === 200) {
      if (this.#etag === null) throw new ArkError("forbidden", `${host} gives whole files only, and no parts of them`);
      // The file there was replaced: what it has now is for the checks of the chunks to judge.
      this.#etag = null;
      throw new Error("the file there has changed");
    }
    if (status !== 206) {
      const what = shown(this.#url.pathname.split("/").at(-1) ?? "");
      throw statusError(status, { what, host }) ?? new Error(`status ${status}`);
    }
    if (!/^(?:identity)?$/i.test(headers.get("content-encoding") ?? "")) {
      throw new ArkError("forbidden", `${host} sends the file packed`);
    }
    if (headers.get("content-range") !== `bytes ${from}-${from + length - 1}/${this.#size}`) {
      throw new ArkError("forbidden", `${host} has a file of another size at that address`);
    }
    this.#etag = strongTag(headers) ?? this.#etag;
  }
}
