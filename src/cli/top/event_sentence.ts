import type { ArkEvent, PeerChange } from "@ark/node/telemetry";
import type { TopEvent } from "./snapshot.ts";

const CHANGES: Readonly<Record<PeerChange, string>> = {
  seen: "was seen",
  gone: "is gone",
  knocked: "asked without being approved",
  approved: "was approved",
  revoked: "was revoked",
  rotated: "goes on under a new key",
  contradicted: "contradicts the audit log",
};

const BAD: ReadonlySet<PeerChange> = new Set(["knocked", "contradicted"]);

/** What an event says to the owner, or null. Requests are left out: the list of requests knows more about them. */
export function eventSentence(
  event: ArkEvent,
  { names, at }: { names: ReadonlyMap<string, string>; at: string },
): TopEvent | null {
  const named = (id: string) => names.get(id.replaceAll("-", "")) ?? id.slice(0, 8);
  const said = (text: string, { bad = false } = {}): TopEvent => ({ at, text, bad });
  switch (event.type) {
    case "peer":
      return said(`${named(event.peer)} ${CHANGES[event.change]}`, { bad: BAD.has(event.change) });
    case "pair":
      return said(`Pairing with ${named(event.peer)}: ${event.phase}`);
    case "load":
      return event.fraction < 1 ? null : said(`${event.model} is in memory`);
    case "upload": {
      if (event.phase === "start") return said(`${named(event.peer)} downloads ${event.model}`);
      const ok = event.outcome === "ok";
      return said(`${named(event.peer)} ${ok ? "has" : "did not get"} ${event.model}`, { bad: !ok });
    }
    case "pull":
      if (event.wrong !== undefined) {
        return said(`${named(event.wrong)} sent wrong bytes of ${event.model}`, { bad: true });
      }
      if (event.state === "running") return null;
      return said(
        `${event.model} ${event.state === "done" ? "was fetched" : "could not be fetched"}`,
        { bad: event.state !== "done" },
      );
    case "audit":
      return event.available
        ? said("The audit log can be written again")
        : said("The audit log cannot be written: nothing is answered", { bad: true });
    default:
      return null;
  }
}
