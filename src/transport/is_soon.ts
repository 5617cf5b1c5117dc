import { setImmediate } from "node:timers";

/** Whether a promise settles before the event loop has gone round once. */
export async function isSoon(promise: Promise<unknown>): Promise<boolean> {
  const { promise: first, resolve } = Promise.withResolvers<"promise" | "turn">();
  const settled = () => resolve("promise");
  promise.then(settled, settled);
  setImmediate(() => resolve("turn"));
  return await first === "promise";
}
