import { joined } from "./joined.ts";

/** Options of {@linkcode boundedBytes}. */
export interface BoundedBytesOptions {
  /** Most bytes. */
  most: number;
  /** Makes the error that is thrown where more come. It is called once, before what is read is let go. */
  tooLong(): Error;
}

/**
 * Reads a short body whole, and no more of it than so many bytes: how long it is, is decided by who sends it. Null is an empty
 * one.
 *
 * @throws what `tooLong` makes, or what reading throws.
 */
export async function boundedBytes(
  body: AsyncIterable<Uint8Array> | null,
  { most, tooLong }: BoundedBytesOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > most) throw tooLong();
    chunks.push(chunk);
  }
  return joined(chunks);
}

/** The same as text in UTF-8; what is none of it becomes U+FFFD. */
export async function boundedText(
  body: AsyncIterable<Uint8Array> | null,
  options: BoundedBytesOptions,
): Promise<string> {
  return new TextDecoder().decode(await boundedBytes(body, options));
}
