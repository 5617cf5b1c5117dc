// deno-lint-ignore-file no-boolean-literal-for-arguments -- that is how setters of hooks are called
/** What the node tells as it happens, and data that is read anew when something happened. */
import { useEffect, useRef, useState } from "preact/hooks";
import { eventsOf, isLoggedIn, open, watchSession } from "./api.js";

/** @type {Set<(event: any) => void>} */
const listeners = new Set();
/** @type {Set<(connected: boolean) => void>} */
const connections = new Set();
let connected = false;
let running = false;

/** @param {boolean} now */
function setConnected(now) {
  if (connected === now) return;
  connected = now;
  for (const tell of connections) tell(now);
}

async function follow() {
  if (running) return;
  running = true;
  for (let wait = 500; isLoggedIn(); wait = Math.min(wait * 2, 8_000)) {
    const stop = new AbortController();
    const unwatch = watchSession(() => isLoggedIn() || stop.abort());
    try {
      for await (const data of eventsOf(await open("/api/v1/events", undefined, { signal: stop.signal }))) {
        wait = 500;
        setConnected(true);
        const event = JSON.parse(data);
        for (const listener of listeners) listener(event);
      }
    } catch {
      // It is tried again: a node that starts anew is found by that.
    }
    unwatch();
    setConnected(false);
    if (isLoggedIn()) await new Promise((resolve) => setTimeout(resolve, wait));
  }
  running = false;
}

watchSession(() => isLoggedIn() && follow());
if (isLoggedIn()) follow();

/** Whether the node tells what happens. */
export function useConnected() {
  const [is, set] = useState(connected);
  useEffect(() => {
    connections.add(set);
    set(connected);
    return () => connections.delete(set);
  }, []);
  return is;
}

const SOON_MS = 120;

/**
 * Data of the node, read again shortly after an event of one of these types, and every `everyMs` where that is given.
 *
 * @template T
 * @param {() => Promise<T>} load
 * @param {{ on?: string[], everyMs?: number, deps?: unknown[] }} [options]
 * @returns {{ data: T | undefined, error: Error | undefined, reload: () => void }}
 */
export function useLive(load, { on = [], everyMs, deps = [] } = {}) {
  const [state, setState] = useState({ data: undefined, error: undefined });
  const latest = useRef(load);
  latest.current = load;
  const reload = useRef(() => {});
  useEffect(() => {
    let gone = false;
    let reading = false;
    let again = false;
    const read = async () => {
      if (reading) {
        again = true;
        return;
      }
      reading = true;
      try {
        const data = await latest.current();
        if (!gone) setState({ data, error: undefined });
      } catch (error) {
        if (!gone) setState((before) => ({ data: before.data, error }));
      }
      reading = false;
      if (again && !gone) {
        again = false;
        setTimeout(read, SOON_MS);
      }
    };
    reload.current = read;
    read();
    let soon;
    const hear = (event) => {
      if (soon !== undefined || !(event.type === "hello" || on.includes(event.type))) return;
      soon = setTimeout(() => {
        soon = undefined;
        read();
      }, SOON_MS);
    };
    listeners.add(hear);
    const timer = everyMs === undefined ? undefined : setInterval(() => document.hidden || read(), everyMs);
    return () => {
      gone = true;
      listeners.delete(hear);
      clearTimeout(soon);
      clearInterval(timer);
    };
  }, deps);
  return { ...state, reload: () => reload.current() };
}
