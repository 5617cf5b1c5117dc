import type { Finding } from "@ark/node/http";
import type { RunningFacts } from "./facts.ts";
import { peerWord } from "./typed_word.ts";

/** What peers may do, and whether it is on the record. Pure. */
export function trust(
  { peers, expired, peersFault, auditFault, auditDamage }: Omit<RunningFacts, "listeners" | "clocks">,
): Finding[] {
  const found: Finding[] = [];
  if (peersFault !== null) {
    found.push({
      check: "approved-peers",
      level: "danger",
      sentence: peersFault,
      fix: "Correct approved_peers.json in the data directory; until then the last good state counts",
    });
  }
  for (const peer of peers) {
    const { name, permissions, expires_at, paused, verified } = peer;
    const asks = permissions.can_request_inference || permissions.can_pull_models;
    if (asks && permissions.models_shared.includes("*") && expires_at === undefined) {
      found.push({
        check: "open-approval",
        level: "warning",
        sentence: `${name} may use every model of this node, for ever`,
        fix: `Approve it again with --models and --expires: ark-node peers approve ${peerWord(peer)}`,
      });
    }
    if (verified === false) {
      found.push({
        check: "unverified-peer",
        level: "warning",
        sentence: `${name} came by an invite link, and nobody has compared the words on both screens yet`,
        fix: `Compare them when you both are there: ark-node peers pair ${peerWord(peer)}`,
      });
    }
    if (paused === true) {
      found.push({ check: "paused-peer", level: "ok", sentence: `${name} is paused and gets no answer` });
    }
  }
  for (const peer of expired) {
    const { name, expires_at } = peer;
    found.push({
      check: "expired-approval",
      level: "warning",
      sentence: `The approval of ${name} ended on ${(expires_at ?? "").slice(0, 10)}`,
      fix: `Approve it again, or take it off the list: ark-node peers revoke ${peerWord(peer)}`,
    });
  }
  if (found.length === 0) {
    const sentence = peers.length === 0
      ? "No peer is approved, so none may do anything here"
      : "Every approval says which models or until when";
    found.push({ check: "approved-peers", level: "ok", sentence });
  }
  return [...found, ...auditLog({ auditFault, auditDamage })];
}

/** Whether the audit log can be written, and is as it was written. Pure. */
export function auditLog({ auditFault, auditDamage }: Pick<RunningFacts, "auditFault" | "auditDamage">): Finding[] {
  const check = "audit-log";
  const wrong = auditFault ?? auditDamage ?? null;
  if (wrong === null) {
    return auditDamage === null
      ? [{ check, level: "ok", sentence: "Every entry of the audit log is as it was written" }]
      : [];
  }
  const fix = auditFault === null
    ? "See what else is wrong (ark-node audit verify), keep a copy of the data directory, and ask who changed it"
    : "Make room, or mend the disk";
  return [{ check, level: "danger", sentence: wrong, fix }];
}
