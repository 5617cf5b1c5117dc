/** Writes small ZIM files as the openZIM specification has them: version 6.1, or 5 with a namespace for each kind. */
import { createHash } from "node:crypto";
import { zstdCompressSync } from "node:zlib";

/** Something of a pack. */
export interface ZimItem {
  /** Path; in an old file with its namespace before it, such as `A/Sky`. */
  path: string;
  /** Title. @default {""} */
  title?: string;
  /** Type of the body. @default {"text/html"} */
  type?: string;
  /** The body. */
  body?: string | Uint8Array;
  /** Path of another one for which it stands, in place of a body. */
  to?: string;
}

/** How a file is written. */
export interface ZimOptions {
  /** What is in it. */
  items: ZimItem[];
  /** Facts, such as `Title`. */
  facts?: Record<string, string>;
  /** Path of the main page. */
  main?: string;
  /** Whether it is as files were before version 6.1. */
  old?: boolean;
  /** How its clusters are packed: 1 not at all, 4 xz, 5 Zstandard. @default {5} */
  packing?: number;
  /** Whether offsets have 64 bits. */
  wide?: boolean;
  /** First bytes of its UUID. @default {1} */
  uuid?: number;
}

interface Entry {
  namespace: string;
  path: string;
  title: string;
  type: string;
  body: Uint8Array | null;
  to: string | null;
}

const LE = true;
const encode = (text: string) => new TextEncoder().encode(text);

/** The bytes of such a file. */
export function zimBytes(
  { items, facts = {}, main, old = false, packing = 5, wide = false, uuid = 1 }: ZimOptions,
): Uint8Array {
  const all: Entry[] = items.map((item) => {
    const { title = "", type = "text/html", body, to } = item;
    const [namespace, path] = old ? [item.path[0] ?? "", item.path.slice(2)] : ["C", item.path];
    return { namespace, path, title, type, body: body === undefined ? null : bytesOf(body), to: to ?? null };
  });
  for (const [name, text] of Object.entries(facts)) {
    all.push({ namespace: "M", path: name, title: "", type: "text/plain", body: encode(text), to: null });
  }
  const listed = !old;
  if (listed) {
    if (main !== undefined) {
      all.push({ namespace: "W", path: "mainPage", title: "", type: "", body: null, to: `C/${main}` });
    }
    // Its body is known when the order of the entries is.
    const type = "application/octet-stream+zimlisting";
    all.push({ namespace: "X", path: "listing/titleOrdered/v1", title: "", type, body: new Uint8Array(), to: null });
  }
  all.sort((a, b) => order(key(a), key(b)));
  const place = new Map(all.map((entry, index) => [key(entry), index]));
  const byTitle = all.map((entry, index) => ({ entry, index }))
    .sort((a, b) => order(a.entry.namespace + titleOf(a.entry), b.entry.namespace + titleOf(b.entry)));
  if (listed) {
    const articles = byTitle.filter(({ entry }) =>
      entry.namespace === "C" && (entry.to !== null || entry.type === "text/html")
    );
    const listing = all.find(({ namespace }) => namespace === "X");
    if (listing !== undefined) listing.body = u32s(articles.map(({ index }) => index));
  }
  const types = [...new Set(all.filter(({ body }) => body !== null).map(({ type }) => type))];
  // Indexes stand in a cluster that is not packed, as the specification wants it.
  const groups = [all.filter((e) => e.body !== null && e.namespace !== "X"), all.filter((e) => e.namespace === "X")];
  const where = new Map<Entry, [number, number]>();
  const clusters = groups.filter((group) => group.length > 0).map((group, cluster) => {
    group.forEach((entry, blob) => where.set(entry, [cluster, blob]));
    const plain = group[0]?.namespace === "X";
    return clusterOf(group.map(({ body }) => body ?? new Uint8Array()), { packing: plain ? 1 : packing, wide });
  });
  const dirents = all.map((entry) => {
    const [cluster = 0, blob = 0] = where.get(entry) ?? [];
    const redirect = entry.to !== null;
    const head = new DataView(new ArrayBuffer(redirect ? 12 : 16));
    head.setUint16(0, redirect ? 0xffff : types.indexOf(entry.type), LE);
    head.setUint8(3, entry.namespace.charCodeAt(0));
    if (redirect) {
      head.setUint32(
        8,
        place.get(
          old || (entry.to ?? "").startsWith("C/") && entry.namespace === "W" ? entry.to ?? "" : `C/${entry.to}`,
        ) ?? 0,
        LE,
      );
    } else {
      head.setUint32(8, cluster, LE);
      head.setUint32(12, blob, LE);
    }
    return join([new Uint8Array(head.buffer), encode(`${entry.path}\0${entry.title}\0`)]);
  });
  const typeList = encode(`${types.map((type) => `${type}\0`).join("")}\0`);
  const typesAt = 80;
  const direntsAt = typesAt + typeList.length;
  const pathsAt = direntsAt + sum(dirents);
  const titlesAt = pathsAt + 8 * all.length;
  const clustersAt = titlesAt + 4 * all.length;
  const bodiesAt = clustersAt + 8 * clusters.length;
  const checksumAt = bodiesAt + sum(clusters);
  const head = new DataView(new ArrayBuffer(80));
  head.setUint32(0, 72_173_914, LE);
  head.setUint16(4, old ? 5 : 6, LE);
  head.setUint16(6, old ? 0 : 1, LE);
  head.setUint8(8, uuid);
  head.setUint32(24, all.length, LE);
  head.setUint32(28, clusters.length, LE);
  [pathsAt, titlesAt, clustersAt, typesAt].forEach((at, index) => head.setBigUint64(32 + 8 * index, BigInt(at), LE));
  const mainKey = old ? main ?? "" : "W/mainPage";
  head.setUint32(64, main === undefined ? 0xffff_ffff : place.get(mainKey) ?? 0xffff_ffff, LE);
  head.setUint32(68, 0xffff_ffff, LE);
  head.setBigUint64(72, BigInt(checksumAt), LE);
  const file = join([
    new Uint8Array(head.buffer),
    typeList,
    ...dirents,
    u64s(places(direntsAt, dirents)),
    u32s(byTitle.map(({ index }) => index)),
    u64s(places(bodiesAt, clusters)),
    ...clusters,
  ]);
  return join([file, createHash("md5").update(file).digest()]);
}

function clusterOf(bodies: Uint8Array[], { packing, wide }: { packing: number; wide: boolean }): Uint8Array {
  const width = wide ? 8 : 4;
  const offsets = places(width * (bodies.length + 1), [...bodies, new Uint8Array()]);
  const content = join([wide ? u64s(offsets) : u32s(offsets), ...bodies]);
  return join([Uint8Array.of(packing | (wide ? 16 : 0)), packing === 5 ? zstdCompressSync(content) : content]);
}

function key({ namespace, path }: Entry): string {
  return `${namespace}/${path}`;
}

function titleOf({ title, path }: Entry): string {
  return title === "" ? path : title;
}

/** Order of the bytes of two texts. */
function order(a: string, b: string): number {
  return encode(a).toHex() < encode(b).toHex() ? -1 : a === b ? 0 : 1;
}

function places(start: number, parts: readonly Uint8Array[]): number[] {
  let at = start;
  return parts.map(({ length }) => (at += length) - length);
}

function sum(parts: readonly Uint8Array[]): number {
  return parts.reduce((total, { length }) => total + length, 0);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(sum(parts));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function u32s(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, index) => view.setUint32(4 * index, value, LE));
  return new Uint8Array(view.buffer);
}

function u64s(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, index) => view.setBigUint64(8 * index, BigInt(value), LE));
  return new Uint8Array(view.buffer);
}

function bytesOf(body: string | Uint8Array): Uint8Array {
  return typeof body === "string" ? encode(body) : body;
}

/** A picture of one point. */
export const PIXEL = Uint8Array.fromBase64(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
);

/** A small pack as people have them. */
export function skyPack(more: Partial<ZimOptions> = {}): Uint8Array {
  return zimBytes({
    items: [
      {
        path: "Sky",
        title: "The sky",
        body: '<!doctype html><title>The sky</title><img src="img/dot.png"><p>It is blue.',
      },
      { path: "Sea", title: "Sea", body: '<!doctype html><title>Sea</title><a href="Sky">Sky</a>' },
      { path: "Skies", title: "Skies", to: "Sky" },
      { path: "Ünder/ground?", title: "Über uns", body: "<p>Tief" },
      { path: "img/dot.png", type: "image/png", body: PIXEL },
      { path: "style.css", type: "text/css", body: "p { color: rgb(1, 2, 3) }" },
    ],
    facts: {
      Title: "All of the sky",
      Description: "Weather for beginners",
      Language: "eng",
      Date: "2026-01-02",
      Counter: "image/png=1;text/html=3;text/css=1",
    },
    main: "Sea",
    ...more,
  });
}
