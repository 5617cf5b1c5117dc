import { ArkError } from "@ark/node/protocol";
import type { ContentPeers } from "./content_peers.ts";
import { isPackName, type PackAnswer, type PackHit, type PackInfo } from "./pack_info.ts";
import type { PackShelf } from "./pack_shelf.ts";

/** A pack, and who has it. */
export interface LibraryPack extends PackInfo {
  /** Label of the peer that has it; null for this node. */
  readonly at: string | null;
}

/** Every pack within reach: those of this node, then those of approved peers. */
export class Library {
  readonly #shelf: Pick<PackShelf, "list" | "find">;
  readonly #peers: Pick<ContentPeers, "list" | "page" | "search">;

  /** Makes a library of a shelf and of what peers have. */
  constructor(
    { shelf, peers }: {
      shelf: Pick<PackShelf, "list" | "find">;
      peers: Pick<ContentPeers, "list" | "page" | "search">;
    },
  ) {
    this.#shelf = shelf;
    this.#peers = peers;
  }

  /** All packs. */
  async list(signal: AbortSignal): Promise<LibraryPack[]> {
    const here = this.#shelf.list().map(({ info }): LibraryPack => ({ ...info, at: null }));
    const there = (await this.#peers.list(signal)).flatMap(({ peer, packs }) =>
      packs.map((pack): LibraryPack => ({ ...pack, at: peer.name }))
    );
    return [...here, ...there];
  }

  /** Something of a pack. @throws {ArkError} with a sentence. */
  async page(name: string, path: string, signal: AbortSignal): Promise<PackAnswer> {
    const pack = this.#shelf.find(named(name));
    return pack === undefined ? await this.#peers.page(name, path, signal) : await pack.page(path);
  }

  /** Pages of a pack whose title begins so. @throws {ArkError} with a sentence. */
  async search(name: string, text: string, signal: AbortSignal): Promise<PackHit[]> {
    const pack = this.#shelf.find(named(name));
    return pack === undefined ? await this.#peers.search(name, text, signal) : await pack.search(text);
  }
}

function named(name: string): string {
  if (isPackName(name)) return name;
  throw new ArkError("model_not_found", "No node within reach has this pack for you");
}
