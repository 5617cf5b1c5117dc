import { dirname, join } from "node:path";
import { readdirSync } from "node:fs";
import { ADDRESSES, BESIDE, COPIES, GGML_BASE, GGML_CPU, GGML_CPU_SCORE, LLAMA, PREDICATES, RESTS } from "./symbols.ts";

/** Names of the libraries beside the addon: `libllama.v0.4.0.so`, `libllama.cuda.v0.4.0.so`, `libggml-base.dylib`. */
const LLAMA_FILE = /^(lib)?llama(\.\w+)?(\.v[\d.]+)?\.(so|dylib|dll)$/;
const BASE_FILE = /^(lib)?ggml-base\.(so|dylib|dll)$/;
const CPU_FILE = /^(lib)?ggml-cpu(-\w+)?\.(so|dylib|dll)$/;

/** How long {@linkcode Libraries.rest} lasts at least, in microseconds: long enough for the event loop to begin to wait. */
const REST_US = 50;

/** llama.cpp's own libraries, as node-llama-cpp ships them, with the functions that are used here. */
export class Libraries {
  /** The functions of `libllama`. */
  readonly llama: Deno.DynamicLibrary<typeof LLAMA>["symbols"];
  /** The functions of `libggml-base`. */
  readonly base: Deno.DynamicLibrary<typeof GGML_BASE>["symbols"];
  /** The functions of the library for this processor, or null where it is not known which that is. */
  readonly cpu: Deno.DynamicLibrary<typeof GGML_CPU>["symbols"] | null;
  /** Those that compute in another thread. */
  readonly beside: Deno.DynamicLibrary<typeof BESIDE>["symbols"];
  /** C's own function that says whether a byte is set: true of a text of one character, false of an empty one. */
  readonly isSet: Deno.PointerValue;
  readonly #copies: Deno.DynamicLibrary<typeof COPIES>["symbols"];
  readonly #rests: Deno.DynamicLibrary<typeof RESTS>["symbols"];
  readonly #addresses: Deno.DynamicLibrary<typeof ADDRESSES>["symbols"];
  readonly #open: { close(): void }[] = [];

  /**
   * Opens the libraries that lie beside node-llama-cpp's addon.
   *
   * @throws {Error} where one of them or of their functions is missing.
   */
  constructor(addon: string) {
    const folder = dirname(addon);
    const names = readdirSync(folder);
    const file = (pattern: RegExp) => {
      const name = names.find((each) => pattern.test(each));
      if (name === undefined) throw new Error(`there is no library like ${pattern} beside the addon`);
      return join(folder, name);
    };
    const base = file(BASE_FILE);
    this.base = this.#opened(Deno.dlopen(base, GGML_BASE)).symbols;
    this.#copies = this.#opened(Deno.dlopen(base, COPIES)).symbols;
    this.#addresses = this.#opened(Deno.dlopen(base, ADDRESSES)).symbols;
    this.#rests = this.#opened(Deno.dlopen(base, RESTS)).symbols;
    this.isSet = this.#opened(Deno.dlopen(base, PREDICATES)).symbols.strlen;
    const llama = file(LLAMA_FILE);
    this.llama = this.#opened(Deno.dlopen(llama, LLAMA)).symbols;
    this.beside = this.#opened(Deno.dlopen(llama, BESIDE)).symbols;
    const cpu = bestFor(names.filter((name) => CPU_FILE.test(name)).map((name) => join(folder, name)));
    this.cpu = cpu === null ? null : this.#opened(Deno.dlopen(cpu, GGML_CPU)).symbols;
  }

  /** Address of a buffer's first byte. It holds as long as the buffer is referenced from JavaScript. */
  addressOf(buffer: ArrayBuffer): bigint {
    const bytes = new Uint8Array(buffer);
    return this.#addresses.memcpy(bytes, bytes, 0n);
  }

  /** Fills a buffer with what lies at an address, or behind a pointer that C handed out. */
  copy(into: Uint8Array<ArrayBuffer>, from: bigint | Deno.PointerValue): void {
    const size = BigInt(into.byteLength);
    if (typeof from === "bigint") this.base.memcpy(into, from, size);
    else this.#copies.memcpy(into, from, size);
  }

  /** The text at an address, up to its zero byte; none at address 0. */
  text(address: bigint): string {
    if (address === 0n) return "";
    const bytes = new Uint8Array(Number(this.base.strlen(address)));
    if (bytes.length > 0) this.base.memcpy(bytes, address, BigInt(bytes.length));
    return new TextDecoder().decode(bytes);
  }

  /** Has the event loop wait for a moment: what came by a pipe meanwhile or before is read then. */
  async rest(): Promise<void> {
    await this.#rests.usleep(REST_US);
  }

  /** Closes the libraries; nothing of them may be used any more. */
  close(): void {
    for (const library of this.#open.splice(0)) library.close();
  }

  #opened<L extends { close(): void }>(library: L): L {
    this.#open.push(library);
    return library;
  }
}

/** A text as C takes it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/** Which of the libraries for processors ggml took: it asks each how well it fits, and so is done here. */
function bestFor(paths: readonly string[]): string | null {
  if (paths.length === 1) return paths[0] ?? null;
  let best: { path: string; score: number } | null = null;
  for (const path of paths) {
    const library = Deno.dlopen(path, GGML_CPU_SCORE);
    const score = library.symbols.ggml_backend_score();
    library.close();
    if (score > (best?.score ?? 0)) best = { path, score };
  }
  return best?.path ?? null;
}
