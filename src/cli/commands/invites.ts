import { duration } from "@ark/node/config";
import type { InvitationJson } from "@ark/node/http";
import { renderUnicodeCompact } from "uqr";
import { type Command, EXIT, textFlag, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";
import { CHOICE_FLAGS, choiceOf } from "../permission_choice.ts";

/** Makes an invitation. */
export const INVITE: Command = {
  name: "invite",
  summary: "Make a link with which one node far away is let in, once",
  usage: "",
  flags: {
    ...CHOICE_FLAGS,
    expires: { value: "TIME", help: "until when it can be accepted: 30m, 24h, at most 30d (default: 24h)" },
    lasts: { value: "TIME", help: "how long the permission lasts (default: 30d for ask, else never)" },
    at: { value: "HOST:PORT", multiple: true, help: "where this node is reached from there; may be repeated" },
    "no-qr": { help: "show no QR code" },
  },
  details: `
Send the link by a way that you trust: whoever has it first is let in. It works once. Compare words when you see
each other ('ark-node peers pair'); until then the peer is marked as not verified.`,
  async run(context) {
    const { out, flags, words, json } = context;
    if (words.length > 0) throw new UsageError("The command invite takes no words, only flags");
    const life_ms = duration("expires", textFlag(flags, "expires") ?? "24h");
    if (life_ms === null) throw new UsageError("An invitation lives for 30 days at most: --expires 24h");
    const node = await NodeClient.find(context);
    const withPreset = { ...context, flags: { preset: "ask", ...flags } };
    const choice = await choiceOf(withPreset, { node, lasts: "lasts" });
    const made = await node.call<InvitationJson & { link: string; addresses: string[] }>("/invites", {
      ...choice,
      life_ms,
      at: flags.at ?? [],
    });
    if (json) out.json(made);
    else {
      out.line(made.link);
      if (flags["no-qr"] !== true && out.terminal) out.line(`\n${renderUnicodeCompact(made.link, { border: 2 })}`);
      out.note(
        `\nIt works once, until ${made.expires_at.slice(0, 16).replace("T", " ")} UTC. On the other machine: ` +
          `ark-node peers accept LINK`,
      );
      if (made.addresses.length === 0) {
        out.note("It names no address of this node: say where it is with --at HOST:PORT.");
      }
    }
    return EXIT.ok;
  },
};

/** Shows invitations. */
export const INVITES_LIST: Command = {
  name: "invites list",
  summary: "Show invitations, and who accepted",
  usage: "",
  flags: {},
  async run(context) {
    const { out, json } = context;
    const node = await NodeClient.find(context);
    const { invitations } = await node.call<{ invitations: InvitationJson[] }>("/invites");
    if (json) out.json({ invitations });
    else if (invitations.length === 0) out.line("There is no invitation: make one with 'ark-node invite'.");
    else {
      out.table(
        ["NAME", "STATE", "UNTIL", "ACCEPTED BY"],
        invitations.map(({ id, state, expires_at, name, used_by, verified }) => [
          id,
          state,
          expires_at.slice(0, 16).replace("T", " "),
          used_by === null ? "-" : `${name ?? used_by.slice(0, 8)}${verified === false ? ", compare words later" : ""}`,
        ]),
      );
    }
    return EXIT.ok;
  },
};

/** Takes an invitation back. */
export const INVITES_REVOKE: Command = {
  name: "invites revoke",
  summary: "Take an invitation back that nobody has accepted yet",
  usage: "NAME",
  flags: {},
  details: "NAME is what 'ark-node invites' shows. Whoever has accepted is revoked with 'ark-node peers revoke'.",
  async run(context) {
    const { out, words: [id, ...more], json } = context;
    if (id === undefined || more.length > 0) throw new UsageError("Name one invitation: ark-node invites revoke NAME");
    const node = await NodeClient.find(context);
    const answer = await node.call("/invites/revoke", { id });
    if (json) out.json(answer);
    else out.line("It cannot be accepted any more.");
    return EXIT.ok;
  },
};
