import { ArkError, type Bitfield } from "@ark/node/protocol";
import type { PlannedFile } from "../pull/pull_plan.ts";
import { OriginSource } from "./origin_source.ts";
import type { PieceRequest, PieceSource } from "./piece_source.ts";

/** Options of {@linkcode LazyOrigin}. */
export interface LazyOriginOptions {
  /** Who it is, as the owner is told. */
  name: string;
  /** SHA-256 in hex of the file that is wanted. */
  sha256: string;
  /** Bytes of it. */
  size: number;
  /** Asks what the origin has. */
  look(signal: AbortSignal): Promise<readonly PlannedFile[]>;
}

/** An origin that is asked what it has only when it is needed; it helps where that is the very same file. */
export class LazyOrigin implements PieceSource {
  readonly key: string;
  readonly name: string;
  readonly kind = "origin";
  readonly #options: LazyOriginOptions;
  #found: Promise<OriginSource> | null = null;

  /** Makes one; nothing is asked yet. */
  constructor(options: LazyOriginOptions) {
    this.key = this.name = options.name;
    this.#options = options;
  }

  async have(signal: AbortSignal): Promise<Bitfield> {
    return await (await this.#source(signal)).have();
  }

  async fetch(index: number, request: PieceRequest): Promise<Uint8Array> {
    return await (await this.#source(request.signal)).fetch(index, request);
  }

  #source(signal: AbortSignal): Promise<OriginSource> {
    const found = this.#found ??= this.#look(signal);
    found.catch(() => this.#found = null);
    return found;
  }

  async #look(signal: AbortSignal): Promise<OriginSource> {
    const { name, sha256, size, look } = this.#options;
    const same = (await look(signal)).find((file) => file.sha256 === sha256);
    if (same === undefined || same.url === null) {
      throw new ArkError("model_not_found", `${name} has another file of that name`);
    }
    return new OriginSource(same.url, { size, token: same.token ?? null });
  }
}
