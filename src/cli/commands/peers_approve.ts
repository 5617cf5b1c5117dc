import { duration } from "@ark/node/config";
import { formatPublicKey, publicKeyOf } from "@ark/node/identity";
import type { DiscoveredPeer, PeerStatus } from "@ark/node/http";
import type { ApprovedPeer } from "@ark/node/peers";
import { type Command, type CommandContext, EXIT, textFlag, UsageError } from "../command.ts";
import { findPeer } from "../find_peer.ts";
import { NodeClient } from "../node_client.ts";

/** What `POST /peers/approve` answers. */
interface Approved {
  approved: ApprovedPeer;
  summary: string;
  status: PeerStatus | null;
  recorded: boolean;
}

/** Lets a node ask this one, and sends it prompts. */
export const PEERS_APPROVE: Command = {
  name: "peers approve",
  summary: "Let a node ask this one, and ask it",
  usage: "KEY|ID|NAME",
  flags: {
    models: { value: "A,B", help: "models it may use, * for any text in a name (default: *, all of them)" },
    max: { value: "N", help: "its questions at a time (default: 1)" },
    rate: { value: "N", help: "its questions in a minute (default: no limit)" },
    "tokens-per-day": { value: "N", help: "tokens of its questions and answers in 24 hours (default: no limit)" },
    "max-tokens": { value: "N", help: "longest answer in tokens (default: 2048)" },
    content: { value: "A,B", help: "content packs it may read, * for any text in a name (default: none)" },
    pull: { help: "let it download these models, too" },
    name: { value: "NAME", help: "label that you will see" },
    own: { help: "it is a node of yours, which counts for --replicas; grants nothing more" },
    "not-own": { help: "it is not, or no more" },
    expires: { value: "TIME", help: "12h, 30d, 4w or never (default: never)" },
  },
  details: `
KEY is ed25519:…, ID the id that 'ark-node id' shows on the other machine; of a node that is near,
the first 8 characters do. A NAME is that of a peer which is approved already: these terms count instead
of those. What you approve is what it may do here: the other owner decides on his side what you may do
there, so both approve.`,
  async run(context) {
    const { out, words, json } = context;
    const [typed, ...more] = words;
    if (typed === undefined || more.length > 0) {
      throw new UsageError("Name one node: ark-node peers approve KEY|ID|NAME");
    }
    const node = await NodeClient.find(context);
    const [{ peers }, approved] = await Promise.all([
      node.call<{ peers: DiscoveredPeer[] }>("/peers/discovered"),
      node.call<{ peers: PeerStatus[] }>("/peers/status"),
    ]);
    // One that is approved already gets other terms by the name that its owner's node gave it, near or not.
    const known = new Map<string, { node_id: string; name?: string }>(peers.map((one) => [one.node_id, one]));
    for (const one of approved.peers) known.set(one.node_id, one);
    const id = findPeer(typed, [...known.values()]);
    const answer = await node.call<Approved>("/peers/approve", {
      node_id: id,
      public_key: formatPublicKey(publicKeyOf(id)),
      ...terms(context),
    });
    if (json) {
      out.json(answer);
      return EXIT.ok;
    }
    out.line(answer.summary);
    if (answer.status?.state === "not_approved") {
      out.line("Its owner has not approved this node yet: on that machine, 'ark-node peers discovered' shows it now.");
    } else if (answer.status?.state === "ready") {
      out.line(`It is ready, and offers ${answer.status.models.join(", ") || "no model"}.`);
    } else out.line("It was not reached yet; 'ark-node peers list' shows when it is.");
    if (!answer.recorded) out.note("ark-node: The approval counts, but could not be recorded in the audit log.");
    return EXIT.ok;
  },
};

function terms({ flags }: CommandContext) {
  const whole = (flag: string) => wholeNumber(flag, textFlag(flags, flag));
  const [rate, tokens, longest] = [whole("rate"), whole("tokens-per-day"), whole("max-tokens")];
  const name = textFlag(flags, "name");
  const content = listFlag(textFlag(flags, "content") ?? "");
  const lives = duration("expires", textFlag(flags, "expires") ?? "never");
  return {
    ...(name === undefined ? {} : { name }),
    ...(flags.own === true || flags["not-own"] === true ? { own: flags["not-own"] !== true } : {}),
    ...(lives === null ? {} : { expires_at: new Date(Date.now() + lives).toISOString() }),
    permissions: {
      can_request_inference: true,
      can_pull_models: flags.pull === true,
      models_shared: listFlag(textFlag(flags, "models") ?? "*"),
      ...(content.length === 0 ? {} : { content_shared: content }),
      max_concurrent_requests: whole("max") ?? 1,
      ...(rate === undefined ? {} : { max_requests_per_minute: rate }),
      ...(tokens === undefined ? {} : { max_tokens_per_day: tokens }),
      ...(longest === undefined ? {} : { max_tokens_per_request: longest }),
    },
  };
}

function listFlag(text: string): string[] {
  return text.split(",").map((name) => name.trim()).filter(Boolean);
}

function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new UsageError(`Flag --${flag} is a whole number from 1`);
  return value;
}
