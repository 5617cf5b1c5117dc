/**
 * Takes the next bytes of a body, which hold until it returns, or until its promise is there: then more come. `false` ends
 * the pumping after these bytes.
 */
export type TakeBytes = (bytes: Uint8Array) => Promise<void> | null | false;

/**
 * Hands a body over that is read piece by piece; true where that was all of it. A body that is read by the transport itself
 * has a pump of its own, which takes one turn of promises for each piece instead of three or four.
 */
export async function pumpFrom(
  read: () => Promise<Uint8Array | null>,
  take: TakeBytes,
): Promise<boolean> {
  for (let bytes = await read(); bytes !== null; bytes = await read()) {
    const taken = take(bytes);
    if (taken === false) return false;
    if (taken !== null) await taken;
  }
  return true;
}
