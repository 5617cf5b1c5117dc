import type { Events, PullEvent } from "@ark/node/telemetry";
import type { PullProgress } from "./pull_progress.ts";

/** Time between two events of a pull, in milliseconds. */
const EVERY_MS = 1_000;

/** Tells events of a pull: how far it is, at most once a second, whom it dropped, and how it ended. */
export function pullEvents(
  model: string,
  events: Pick<Events, "emit">,
): { progress(progress: PullProgress): void; end(state: "done" | "failed"): void } {
  let last: PullEvent = { type: "pull", model, state: "running", completed: 0, total: 0, speed: 0, sources: 0 };
  let at = -Infinity;
  return {
    progress({ completed, total, speed, sources, wrong }) {
      if (wrong !== undefined) return events.emit({ ...last, wrong });
      if (completed === undefined || total === undefined) return;
      last = { ...last, completed, total, speed: speed ?? 0, sources: sources?.length ?? 1 };
      const now = performance.now();
      if (now - at < EVERY_MS) return;
      at = now;
      events.emit(last);
    },
    end: (state) => events.emit({ ...last, state, speed: 0, sources: 0 }),
  };
}
