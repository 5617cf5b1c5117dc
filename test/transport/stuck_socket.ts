import { Writable } from "node:stream";

const DECODER = new TextDecoder();

/** A connection that takes nothing until it is told to. */
export function stuck(): { socket: Writable; take(): void; wire(): string } {
  let wire = "";
  let taken = () => {};
  const socket = new Writable({
    decodeStrings: false,
    write(bytes: Uint8Array | string, _, done) {
      wire += typeof bytes === "string" ? bytes : DECODER.decode(bytes);
      taken = done;
    },
  });
  return { socket, take: () => taken(), wire: () => wire };
}
