/** Hostile GGUF files, rebuilt after public reports, and headers changed at random. */
import { ggufBytes, type GgufParts, METADATA, type Tensor } from "./gguf_bytes.ts";

/** A bad file: what is wrong with it, and its bytes. */
export interface BadFile {
  /** Name for the file, without an ending. */
  name: string;
  /** Where the pattern is from. */
  pattern: string;
  /** The file. */
  bytes: Uint8Array<ArrayBuffer>;
}

const HUGE = (1n << 64n) - 1n;

/** One file for each public pattern, and the ones that lie near. */
export function badFiles(): BadFile[] {
  const file = (name: string, pattern: string, parts: GgufParts): BadFile => ({
    name,
    pattern,
    bytes: ggufBytes(parts),
  });
  const tensor = (parts: Partial<Tensor>): GgufParts => ({
    tensors: [{ name: "t", dimensions: [32, 2], type: 0, offset: 0, ...parts }],
  });
  const value = (...bytes: number[]): GgufParts => ({ pairs: [...METADATA, ["x", { raw: Uint8Array.from(bytes) }]] });
  const whole = ggufBytes();
  return [
    file("product", "CVE-2026-33298: bytes of a tensor overflow, the heap buffer is too small", {
      ...tensor({ dimensions: [1n << 32n, 1n << 31n, 2n, 1n] }),
    }),
    file("sum", "CVE-2026-27940: sizes of all tensors overflow when added up", {
      tensors: Array.from({ length: 64 }, (_, i) => ({ name: `t${i}`, dimensions: [32, 30], type: 0, offset: 0 })),
    }),
    file("beyond", "CVE-2026-7482: a tensor states more elements than the file has, and memory is read past its end", {
      ...tensor({ dimensions: [32, 1 << 20] }),
    }),
    file("pairs", "CVE-2024-25664, CVE-2024-23605: number of key-value pairs overflows the allocation", {
      pairCount: HUGE,
    }),
    file("tensors", "CVE-2024-25666, CVE-2024-21836: number of tensors overflows the allocation", {
      tensorCount: HUGE / 2n,
    }),
    file("text", "CVE-2024-25665, CVE-2024-23496: length of a text is 2^64 - 1, and one more is allocated", {
      ...value(8, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255),
    }),
    file("array", "CVE-2024-25667: length of an array overflows the allocation", {
      ...value(9, 0, 0, 0, 4, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 63),
    }),
    file("texts", "CVE-2024-25668: number of texts in an array overflows the allocation", {
      ...value(9, 0, 0, 0, 8, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 31),
    }),
    file("kind", "The kind of an array's values is beyond the table of sizes", {
      ...value(9, 0, 0, 0, 200, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    }),
    file("type", "The type of a tensor is beyond the table of types", tensor({ type: 0x7fffffff })),
    file("dimensions", "CVE-2024-21802: more dimensions than the array of four holds", {
      ...tensor({ dimensions: [1, 1, 1, 1, 1, 1, 1, 1] }),
    }),
    file("offset", "An offset that wraps around", tensor({ offset: (1n << 64n) - 64n })),
    file("negative", "A dimension that is negative as a signed number", tensor({ dimensions: [1n << 63n] })),
    file("zero", "A dimension of nothing, by which is divided", tensor({ dimensions: [0, 4] })),
    file("nested", "Arrays in arrays, which recurse", value(9, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)),
    file("alignment0", "An alignment of nothing, by which is divided", {
      pairs: [...METADATA, ["general.alignment", { u32: 0 }]],
    }),
    file("alignment", "An alignment beyond all bounds", {
      pairs: [...METADATA, ["general.alignment", { u32: 2 ** 31 }]],
    }),
    file("twice", "A key twice, of which the loader may take the other", {
      pairs: [...METADATA, ["general.architecture", { text: "other" }]],
    }),
    file("nameless", "A tensor without a name", tensor({ name: "" })),
    file("cut-name", "A name that ends for C before it ends for us", {
      tensors: ["t\0a", "t\0b"].map((name, i) => ({ name, dimensions: [32], type: 0, offset: 128 * i })),
    }),
    { name: "truncated", pattern: "Metadata that stops in the middle", bytes: whole.slice(0, 100) },
    { name: "empty", pattern: "No bytes at all", bytes: new Uint8Array() },
    { name: "magic", pattern: "Another kind of file", bytes: ggufBytes({ magic: "GGJT" }) },
    { name: "version", pattern: "A version to come", bytes: ggufBytes({ version: 4 }) },
  ];
}

/** Changes some bytes of a header, most of them where counts and lengths are; the same for the same number. */
export function mutatedHeader(base: Uint8Array, number: number): Uint8Array<ArrayBuffer> {
  let state = (number + 1) * 0x9e3779b1 >>> 0;
  const random = (below: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const changed = Uint8Array.from(base);
  const values = [0, 1, 2, 9, 127, 128, 254, 255];
  for (let count = 1 + random(4); count > 0; count--) {
    const at = random(4) === 0 ? random(Math.min(64, changed.length)) : random(changed.length);
    changed[at] = random(2) === 0 ? values[random(values.length)] ?? 0 : random(256);
    // A run of high bytes makes the numbers that overflow.
    if (random(8) === 0) changed.fill(255, at, at + 8);
  }
  return random(6) === 0 ? changed.slice(0, random(changed.length)) : changed;
}
