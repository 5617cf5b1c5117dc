import type { Exchange } from "./exchange.ts";
import type { MeshResponse } from "./mesh_call.ts";
import type { TakeBytes } from "./pump.ts";

/** The ways to the body of an answer. */
export type BodyWays = "body" | "read" | "pump" | "readInto";

/** A body that reads only when it is asked, and gives the connection back when it ends in whatever way. */
export function answerBody(
  exchange: Exchange,
  { signal, end }: { signal: AbortSignal; end: () => void },
): Required<Pick<MeshResponse, BodyWays>> {
  let over = false;
  const stop = () => {
    over = true;
    signal.removeEventListener("abort", onAbort);
    end();
  };
  const finish = async () => {
    await exchange.finish();
    stop();
  };
  let fail: (reason: unknown) => void = () => {};
  const onAbort = () => {
    // A reader that waits gets its answer here; the connection is closed by the exchange.
    exchange.end("broken");
    fail(signal.reason);
    stop();
  };
  const read = async () => {
    if (over) {
      signal.throwIfAborted();
      return null;
    }
    try {
      const chunk = await exchange.readView();
      if (!exchange.done) return chunk;
      // The next request may work in the same buffer: it may begin before anybody knows that this one is over.
      const last = chunk?.slice() ?? null;
      await finish();
      return last;
    } catch (error) {
      stop();
      throw exchange.failed(error);
    }
  };
  const pump = async (take: TakeBytes) => {
    if (over) {
      signal.throwIfAborted();
      return true;
    }
    try {
      const whole = await exchange.pump(take);
      if (whole || exchange.done) await finish();
      return whole;
    } catch (error) {
      stop();
      throw exchange.failed(error);
    }
  };
  const readInto = async (buffer: Uint8Array, arrived?: (bytes: number) => void) => {
    signal.throwIfAborted();
    try {
      const count = over ? 0 : await exchange.readInto(buffer, arrived);
      if (!over) await finish();
      return count;
    } catch (error) {
      stop();
      throw exchange.failed(error);
    }
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: async (controller) => {
      fail = (reason) => controller.error(reason);
      if (!exchange.done) return;
      controller.close();
      await finish();
    },
    pull: async (controller) => {
      try {
        const chunk = await read();
        if (chunk !== null) controller.enqueue(chunk.slice());
        if (over) controller.close();
      } catch (error) {
        controller.error(error);
      }
    },
    cancel: () => {
      exchange.end("broken");
      stop();
    },
  }, { highWaterMark: 0 });
  // It may have fired while the head of the answer was on its way here.
  if (signal.aborted) onAbort();
  return { body, read, pump, readInto };
}
