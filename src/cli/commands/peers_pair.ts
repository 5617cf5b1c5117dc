import type { DiscoveredPeer, PairingJson } from "@ark/node/http";
import { isOpen, sameWords } from "@ark/node/peers";
import { type Command, type CommandContext, CommandError, EXIT, textFlag, UsageError } from "../command.ts";
import { chooseNearby } from "../choose_nearby.ts";
import { findPeer } from "../find_peer.ts";
import { NodeClient } from "../node_client.ts";
import { PairingDialog, showWords } from "../pairing_dialog.ts";
import { CHOICE_FLAGS, choiceOf } from "../permission_choice.ts";
import { TypedLines } from "../typed_lines.ts";

/** Pairs two nodes by four words. */
export const PEERS_PAIR: Command = {
  name: "peers pair",
  summary: "Pair with a node: compare four words, then choose what it may do",
  usage: "[HOST:PORT|ID]",
  flags: {
    match: { value: "WORDS", help: "the words that the other screen shows, to compare without a question" },
    ...CHOICE_FLAGS,
    expires: { value: "TIME", help: "12h, 30d, 4w or never (default: 30d for ask, else never)" },
    yes: { help: "with --match: choose without a question (default: --preset ask)" },
    cancel: { help: "cancel the pairing" },
  },
  details: `
Both owners see the same four words, unless somebody is in between. Without HOST:PORT it goes on with who wants to
pair with this node, else it shows which nodes are near, to choose one. In a script: begin, read the words, then
again with --match and --preset.`,
  async run(context) {
    const { words, flags, out, json } = context;
    const [typed, ...more] = words;
    if (more.length > 0) throw new UsageError("Name one node: ark-node peers pair HOST:PORT");
    const match = textFlag(flags, "match");
    if (flags.yes === true && match === undefined) {
      throw new UsageError("Flag --yes needs --match WORDS: only words that both screens show make a pairing safe");
    }
    const node = await NodeClient.find(context);
    const choice = await choiceOf(flags.yes === true ? withPreset(context) : context, { node, lasts: "expires" });
    const person = out.terminal && context.input.isTerminal() && !json;
    const lines = new TypedLines(context.input);
    const pairing = typed !== undefined
      ? await begun(node, typed)
      : await waiting(node, { context, lines: person ? lines : null });
    if (pairing === null) return EXIT.ok;
    if (flags.cancel === true) return said(context, await node.call(`/peers/pair/${pairing.session}/cancel`, {}));
    if (match !== undefined && pairing.mine === "waiting") {
      const different = !same(match, pairing);
      const next = await node.call<PairingJson>(
        `/peers/pair/${pairing.session}/${different ? "different" : "match"}`,
        {},
      );
      if (different) return said(context, next);
      if (choice === null) return said(context, next);
    }
    if (!person && choice === null) {
      if (!json) showWords(out, pairing);
      return said(context, pairing);
    }
    return await new PairingDialog({ context, node, session: pairing.session, choice, person, lines }).run();
  },
};

function withPreset(context: CommandContext): CommandContext {
  return { ...context, flags: { preset: "ask", ...context.flags } };
}

/** Begins with a node, or goes on where one with it is under way. */
async function begun(node: NodeClient, typed: string): Promise<PairingJson> {
  if (!typed.startsWith("ed25519:") && /[.:[\]]/.test(typed)) {
    return await node.call<PairingJson>("/peers/pair", { address: typed });
  }
  const [{ peers }, { pairings }] = await Promise.all([
    node.call<{ peers: DiscoveredPeer[] }>("/peers/discovered"),
    node.call<{ pairings: PairingJson[] }>("/peers/pair"),
  ]);
  const known = new Map([...peers, ...pairings].map(({ node_id }) => [node_id, { node_id }]));
  return await node.call<PairingJson>("/peers/pair", { node_id: findPeer(typed, [...known.values()]) });
}

/**
 * The one pairing that waits for this node's owner, or one with a node nearby that a person chooses; null where there is
 * none, or where the owner must name one.
 */
async function waiting(
  node: NodeClient,
  { context, lines }: { context: CommandContext; lines: TypedLines | null },
): Promise<PairingJson | null> {
  const { out, json } = context;
  const { pairings } = await node.call<{ pairings: PairingJson[] }>("/peers/pair");
  const open = pairings.filter(({ phase }) => isOpen(phase));
  const [first, ...others] = open;
  if (first !== undefined && others.length === 0) return first;
  const chosen = first === undefined && lines !== null ? await chooseNearby(node, { context, lines }) : null;
  if (chosen !== null) return await begun(node, chosen);
  if (json) out.json({ pairings });
  else if (first === undefined) {
    out.line(
      "Nobody wants to pair now. Begin with: ark-node peers pair HOST:PORT, or an id of 'ark-node peers discovered'",
    );
  } else {
    out.table(
      ["ID", "ADDRESS", "WORDS"],
      open.map(({ node_id, address, words }) => [node_id.slice(0, 8), address ?? "-", words?.join(" ") ?? "-"]),
    );
    out.line("\nGo on with one of them: ark-node peers pair ID");
  }
  return null;
}

function same(typed: string, { words, numbers }: PairingJson): boolean {
  if (words === null || numbers === null) throw new CommandError("The words are not known yet: try again");
  if (typed.split(/[^\p{L}\p{N}]+/u).filter(Boolean).length !== words.length) {
    throw new UsageError(`Flag --match is ${words.length} words, or the numbers that stand for them`);
  }
  return sameWords(typed, { words, numbers });
}

/** Shows a pairing as it stands. What ended without a pairing is a failure. */
function said({ out, json }: CommandContext, pairing: PairingJson): number {
  if (json) out.json(pairing);
  else out.line(pairing.sentence);
  const { phase, mine } = pairing;
  return isOpen(phase) || phase === "connected" || (phase === "cancelled" && mine === "cancelled")
    ? EXIT.ok
    : EXIT.failed;
}
