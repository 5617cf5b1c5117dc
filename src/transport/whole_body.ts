type ReadWhole = () => Promise<Uint8Array<ArrayBuffer>>;

const WHOLE = new WeakMap<Request, ReadWhole>();

/** Notes how the whole body of a request can be had at once. */
export function noteWhole(request: Request, read: ReadWhole): void {
  WHOLE.set(request, read);
}

/**
 * The whole body of a request of one of our listeners, as `request.bytes()` gives it, without the turns of a stream; nothing
 * else of the body can be had afterwards. Null where it came by another way, its body has no stated length, or
 * somebody has begun to read it.
 */
export function wholeBody(request: object): Promise<Uint8Array<ArrayBuffer>> | null {
  if (!(request instanceof Request) || request.bodyUsed) return null;
  const read = WHOLE.get(request);
  WHOLE.delete(request);
  return read?.() ?? null;
}
