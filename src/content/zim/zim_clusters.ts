import { zstdDecompressSync } from "node:zlib";
import { ByteCache } from "../byte_cache.ts";
import { u64, type ZimHeader } from "./zim_header.ts";
import type { ZimSource } from "./zim_source.ts";
import { zstdFrameLength } from "./zstd_frame.ts";

/** Most bytes of one body. */
export const MOST_BODY_BYTES = 32 << 20;
/** Most bytes of a cluster that is packed, packed and unpacked. */
const MOST_CLUSTER_BYTES = 64 << 20;
const LITTLE_ENDIAN = true;

/** An unpacked cluster. */
export interface UnpackedCluster {
  /** How many bytes. */
  readonly bytes: number;
  /** Offsets, then bodies. */
  readonly content: Uint8Array<ArrayBuffer>;
}

/** Clusters that were unpacked last; all packs of a node share one. */
export type ClusterCache = ByteCache<UnpackedCluster>;

/** Makes a cache of unpacked clusters. */
export function clusterCache(): ClusterCache {
  return new ByteCache<UnpackedCluster>({ bytes: 64 << 20, things: 256 });
}

/** The bodies of the entries of a ZIM file. */
export class ZimClusters {
  readonly #source: ZimSource;
  readonly #header: ZimHeader;
  readonly #cache: ClusterCache;
  /** One is unpacked at a time, so that many readers take no more memory than one. */
  #turn: Promise<unknown> = Promise.resolve();

  /** Reads the clusters of a file. */
  constructor(source: ZimSource, { header, cache }: { header: ZimHeader; cache: ClusterCache }) {
    this.#source = source;
    this.#header = header;
    this.#cache = cache;
  }

  /**
   * One body.
   *
   * @throws {SyntaxError} where the file is damaged, packed in a way that is not read, or the body too large.
   */
  async body(cluster: number, blob: number): Promise<Uint8Array<ArrayBuffer>> {
    const { at, packed, width } = await this.#open(cluster);
    if (packed) {
      const { content } = await this.#unpacked({ cluster, at });
      const { from, to } = await spanOf(blob, { width, size: content.length, read: (at, n) => piece(content, at, n) });
      return content.slice(from, to);
    }
    const source = this.#source;
    const size = source.size - at;
    const { from, to } = await spanOf(blob, { width, size, read: (offset, n) => source.read(at + offset, n) });
    return await source.read(at + from, to - from);
  }

  async #open(cluster: number): Promise<{ at: number; packed: boolean; width: 4 | 8 }> {
    const { clusterCount, clustersAt } = this.#header;
    if (cluster >= clusterCount) throw new SyntaxError("An entry of it names a cluster that is not there");
    const pointer = await this.#source.read(clustersAt + 8 * cluster, 8);
    const at = u64(new DataView(pointer.buffer), 0);
    const [info = 0] = await this.#source.read(at, 1);
    const packing = info & 15;
    if (packing === 4) {
      throw new SyntaxError("It is packed as packs were until 2020 (xz), which is not read: fetch a newer one");
    }
    if (packing !== 0 && packing !== 1 && packing !== 5) {
      throw new SyntaxError("It is packed in a way that is not known");
    }
    return { at: at + 1, packed: packing === 5, width: (info & 16) === 0 ? 4 : 8 };
  }

  async #unpacked({ cluster, at }: { cluster: number; at: number }): Promise<UnpackedCluster> {
    const key = `${this.#header.uuid} ${cluster}`;
    const turn = this.#turn.then(async () => {
      const known = this.#cache.get(key);
      if (known !== undefined) return known;
      const length = await zstdFrameLength(this.#source, { at, most: MOST_CLUSTER_BYTES });
      const packed = await this.#source.read(at, length);
      const content = unpackOne(packed);
      const unpacked = { bytes: content.length, content };
      this.#cache.set(key, unpacked);
      return unpacked;
    });
    this.#turn = turn.catch(() => {});
    return await turn;
  }
}

/** A cluster of the usual two megabytes takes some milliseconds. Of the asynchronous form some errors cannot be caught in Deno 2.9. */
function unpackOne(packed: Uint8Array): Uint8Array<ArrayBuffer> {
  try {
    const content = zstdDecompressSync(packed, { maxOutputLength: MOST_CLUSTER_BYTES });
    return new Uint8Array(content.buffer as ArrayBuffer, content.byteOffset, content.length);
  } catch (cause) {
    throw new SyntaxError("A cluster of it is damaged, or larger than this node reads", { cause });
  }
}

function piece(content: Uint8Array<ArrayBuffer>, at: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  if (at + length > content.length) throw new SyntaxError("A cluster of it is damaged");
  return Promise.resolve(content.slice(at, at + length));
}

/** Where a body is in its cluster. The first offset says how many there are. */
async function spanOf(
  blob: number,
  { width, size, read }: {
    width: 4 | 8;
    size: number;
    read(at: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  },
): Promise<{ from: number; to: number }> {
  const number = (bytes: Uint8Array<ArrayBuffer>, at: number) => {
    const view = new DataView(bytes.buffer);
    return width === 8 ? u64(view, at) : view.getUint32(at, LITTLE_ENDIAN);
  };
  const first = number(await read(0, width), 0);
  if (first < width || first % width !== 0 || first > size) throw new SyntaxError("A cluster of it is damaged");
  if (blob >= first / width - 1) throw new SyntaxError("An entry of it names a body that is not there");
  const offsets = await read(blob * width, 2 * width);
  const [from, to] = [number(offsets, 0), number(offsets, width)];
  if (from < first || to < from || to > size) throw new SyntaxError("A cluster of it is damaged");
  if (to - from > MOST_BODY_BYTES) {
    throw new SyntaxError(`It is larger than the ${MOST_BODY_BYTES >> 20} MiB that this node serves in one piece`);
  }
  return { from, to };
}
