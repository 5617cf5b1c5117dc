import { duration } from "@ark/node/config";
import type { ApiKey } from "@ark/node/http";
import { type Command, type CommandContext, EXIT, textFlag, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";

/** Makes a key for one of the owner's apps, and shows it once. */
export const KEYS_CREATE: Command = {
  name: "keys create",
  summary: "Make an API key for one of your apps, and show it once",
  usage: "NAME",
  flags: {
    models: { value: "A,B", help: "models that it may use, * for any text in a name (default: *, all of them)" },
    rate: { value: "N", help: "questions a minute (default: no limit)" },
    "tokens-per-day": { value: "N", help: "tokens of prompts and answers in 24 hours (default: no limit)" },
    "max-concurrent": { value: "N", help: "questions at once (default: no limit)" },
    expires: { value: "TIME", help: "12h, 30d, 4w or never (default: never)" },
    "local-only": { help: "its questions never leave this machine" },
  },
  details: `
Keys are needed where the API is open to the network (--listen) or told so (--require-keys). On the loopback
an app may send any key or none; one that is yours keeps its limits there, too. Only a hash of it is kept.`,
  async run(context) {
    const { out, words: [name, ...more], json } = context;
    if (name === undefined || more.length > 0) throw new UsageError("Name one key: ark-node keys create NAME");
    const order = orderOf(name, context);
    const node = await NodeClient.find(context);
    const made = await node.call<{ key: ApiKey; text: string; recorded: boolean }>("/keys", order);
    if (json) {
      out.json(made);
      return EXIT.ok;
    }
    out.line(made.text);
    out.note(`This is the key ${made.key.name}: copy it now, it is not shown again. ${describe(made.key)}`);
    if (!made.recorded) out.note("ark-node: The key counts, but could not be recorded in the audit log.");
    return EXIT.ok;
  },
};

/** Shows the keys, without their text. */
export const KEYS_LIST: Command = {
  name: "keys list",
  summary: "Show API keys, what each may do and when it was used last",
  usage: "",
  flags: {},
  async run(context) {
    const { out } = context;
    const node = await NodeClient.find(context);
    const answer = await node.call<{ keys: ApiKey[]; required: boolean }>("/keys");
    if (context.json) {
      out.json(answer);
      return EXIT.ok;
    }
    const { keys, required } = answer;
    if (keys.length === 0) {
      const needed = required ? "and the API answers nobody without one" : "and apps of this machine need none";
      out.line(`There is no API key, ${needed}: 'ark-node keys create NAME' makes one.`);
      return EXIT.ok;
    }
    out.table(
      ["NAME", "ID", "STATE", "LAST USE", "MAY USE"],
      keys.map((key) => [key.name, key.id, stateOf(key), when(key.last_used_at), limits(key).join(", ")]),
    );
    return EXIT.ok;
  },
};

/** Takes a key back. */
export const KEYS_REVOKE: Command = {
  name: "keys revoke",
  summary: "Take an API key back; what runs with it ends",
  usage: "NAME|ID",
  flags: {},
  async run(context) {
    const { out, words: [which, ...more], json } = context;
    if (which === undefined || more.length > 0) throw new UsageError("Name one key: ark-node keys revoke NAME|ID");
    const node = await NodeClient.find(context);
    const answer = await node.call<{ key: ApiKey; recorded: boolean }>("/keys/revoke", { key: which });
    if (json) out.json(answer);
    else out.line(`The key ${answer.key.name} is revoked: an app that sends it gets no answer any more.`);
    if (!answer.recorded) out.note("ark-node: The revocation counts, but could not be recorded in the audit log.");
    return EXIT.ok;
  },
};

function orderOf(name: string, { flags }: CommandContext) {
  const models = textFlag(flags, "models");
  const lives = duration("expires", textFlag(flags, "expires") ?? "never");
  return {
    name,
    ...(models === undefined ? {} : { models: models.split(",").map((model) => model.trim()).filter(Boolean) }),
    expires_at: lives === null ? null : new Date(Date.now() + lives).toISOString(),
    max_requests_per_minute: natural(flags, "rate"),
    max_tokens_per_day: natural(flags, "tokens-per-day"),
    max_concurrent_requests: natural(flags, "max-concurrent"),
    local_only: flags["local-only"] === true,
  };
}

function natural(flags: CommandContext["flags"], name: string): number | null {
  const text = textFlag(flags, name);
  if (text === undefined) return null;
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new UsageError(`Flag --${name} is a whole number from 1`);
  return Number(text);
}

function describe(key: ApiKey): string {
  const until = key.expires_at === null ? "" : ` until ${key.expires_at.slice(0, 10)}`;
  return `It may use ${limits(key).join(", ")}${until}.`;
}

function limits(key: ApiKey): string[] {
  const { models, max_requests_per_minute: rate, max_tokens_per_day: tokens, max_concurrent_requests: most } = key;
  return [
    models.includes("*") ? "any model" : models.join(" "),
    ...(rate === null ? [] : [`${rate} a minute`]),
    ...(tokens === null ? [] : [`${tokens} tokens a day`]),
    ...(most === null ? [] : [`${most} at once`]),
    ...(key.local_only ? ["on this machine only"] : []),
  ];
}

function stateOf({ revoked_at, expires_at }: ApiKey): string {
  if (revoked_at !== null) return `revoked ${revoked_at.slice(0, 10)}`;
  if (expires_at === null) return "in force";
  return Date.parse(expires_at) <= Date.now() ? "expired" : `until ${expires_at.slice(0, 10)}`;
}

function when(time: string | null): string {
  return time === null ? "never" : time.slice(0, 16).replace("T", " ");
}
