const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const NONE = 255;
/** Value of each character by its code: ids are read for every request of a peer. */
const VALUES = new Uint8Array(128).fill(NONE);
for (let value = 0; value < ALPHABET.length; value++) VALUES[ALPHABET.charCodeAt(value)] = value;

/** Whether a character belongs to the lower-case base32 alphabet of RFC 4648. */
export function isBase32(character: string): boolean {
  return valueAt(character, 0) !== NONE;
}

/** Encodes bytes as lower-case base32 without padding (RFC 4648 section 6). */
export function encodeBase32(bytes: Uint8Array): string {
  let text = "";
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[held >> bits];
      held &= (1 << bits) - 1;
    }
  }
  return bits === 0 ? text : text + ALPHABET[held << (5 - bits)];
}

/** Decodes lower-case base32 without padding; null for any other text, also where unused bits are not zero. */
export function decodeBase32(text: string): Uint8Array<ArrayBuffer> | null {
  const bytes = new Uint8Array(Math.floor(text.length * 5 / 8));
  let at = 0;
  let held = 0;
  let bits = 0;
  for (let index = 0; index < text.length; index++) {
    const value = valueAt(text, index);
    if (value === NONE) return null;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = held >> bits;
      held &= (1 << bits) - 1;
    }
  }
  return held === 0 && bits < 5 ? bytes : null;
}

function valueAt(text: string, index: number): number {
  return VALUES[text.charCodeAt(index)] ?? NONE;
}
