import { shortId } from "@ark/node/identity";
import type { PairingView } from "./pairing_card.ts";

/** Says in plain words where a pairing stands and what is to be done now. */
export function describePairing(view: PairingView): string {
  const { phase, mine, theirs, words, reason } = view;
  const name = view.name ?? `the node ${shortId(view.id)}`;
  const shown = words?.words.join(" - ") ?? "";
  switch (phase) {
    case "opening":
      return "The two nodes are getting ready.";
    case "comparing":
      if (mine === "matched") return "You said that the words match; the other owner has not compared them yet.";
      return `${theirs === "matched" ? "The other owner says that the words match. " : ""}` +
        `Do both screens show ${shown}?`;
    case "choosing":
      if (mine === "approved") return `You decided; ${name} has not decided yet.`;
      return theirs === "approved"
        ? `Approved by ${name}, waiting for you. What may ${name} do here?`
        : `The words match. What may ${name} do here?`;
    case "connected":
      return `Connected with ${name}.`;
    case "different":
      return mine === "different"
        ? "You said that the words differ: someone may be in between. Nothing was allowed, and that key is shut out for " +
          "24 hours. Try again on another network, or send an invitation."
        : "The other owner says that the words differ: someone may be in between. Nothing was allowed.";
    case "cancelled":
      if (mine === "approved") {
        return `${capital(name)} stopped before it let this node in. What you allowed stands until you revoke it.`;
      }
      return mine === "cancelled" ? "You cancelled it. Nothing was allowed." : "The other owner cancelled it.";
    case "expired":
    case "failed":
      return `${reason ?? "It failed"}.${mine === "approved" ? " What you allowed stands until you revoke it." : ""}`;
  }
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
