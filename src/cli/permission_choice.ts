import { duration, type FlagSpec, type ParsedArgs } from "@ark/node/config";
import { describePermissions, type Permissions, PRESETS, presetTerms } from "@ark/node/peers";
import type { RoutedModel } from "@ark/node/routing";
import { type CommandContext, textFlag, UsageError } from "./command.ts";
import type { NodeClient } from "./node_client.ts";
import type { TypedLines } from "./typed_lines.ts";

/** What the owner chose that another node may do here, as the admin API takes it. */
export interface PermissionChoice {
  /** `ask`, `full` or `none`. */
  preset: typeof PRESETS[number];
  /** Models that it may use. */
  models: string[];
  /** When it ends, RFC 3339, or null for never; absent for the preset's own. */
  expires_at?: string | null;
  /** Label that the owner gives. */
  name?: string;
}

/** Flags that choose. */
export const CHOICE_FLAGS: Record<string, FlagSpec> = {
  preset: { value: "PRESET", help: "what it may do here: ask (your models), full (download, too), none (nothing)" },
  models: { value: "A,B", help: "models for it, * for any text in a name (ask: all that are here now)" },
  name: { value: "NAME", help: "label that you will see" },
};

/** What the flags say, or null where they name no preset. */
export async function choiceOf(
  { flags }: Pick<CommandContext, "flags">,
  { node, lasts }: { node: NodeClient; lasts: string },
): Promise<PermissionChoice | null> {
  const text = textFlag(flags, "preset");
  if (text === undefined) {
    for (const flag of ["models", lasts]) {
      if (flags[flag] !== undefined) throw new UsageError(`Flag --${flag} needs a preset: --preset ask, full or none`);
    }
    return null;
  }
  const preset = PRESETS.find((one) => one === text);
  if (preset === undefined) throw new UsageError(`Flag --preset is one of ${PRESETS.join(", ")}`);
  const named = (textFlag(flags, "models") ?? "").split(",").map((model) => model.trim()).filter(Boolean);
  const models = named.length > 0 || preset !== "ask" ? named : await modelsHere(node);
  if (preset === "ask" && models.length === 0) {
    throw new UsageError("There is no model here that it could ask: name some with --models, or take --preset none");
  }
  return { preset, models, ...expiryOf(flags, lasts), ...nameOf(flags) };
}

/** Asks what a node may do here, with a preview in plain words. Null when there is no answer. */
export async function askChoice(
  name: string,
  { context, node, lines }: { context: CommandContext; node: NodeClient; lines: Pick<TypedLines, "next"> },
): Promise<PermissionChoice | null> {
  const { out, flags } = context;
  const here = await modelsHere(node);
  for (;;) {
    out.line(`\nWhat may ${name} do here?`);
    out.line(
      "  1  Ask my models, one question at a time, for 30 days" + (here.length === 0 ? " (there is none yet)" : ""),
    );
    out.line("  2  Full neighbour: ask and download every model");
    out.line("  3  Nothing: I only use theirs");
    out.text(here.length === 0 ? "1, 2 or 3 [3]: " : "1, 2 or 3 [1]: ");
    const typed = await lines.next();
    if (typed === null) return null;
    const number = typed === "" ? here.length === 0 ? "3" : "1" : typed;
    const preset = { 1: "ask", 2: "full", 3: "none" }[number] as PermissionChoice["preset"] | undefined;
    if (preset === undefined) continue;
    let models = preset === "ask" ? here : [];
    if (preset === "ask") {
      out.text(`Which models? [${here.join(", ") || "none is here: name one"}]: `);
      const list = await lines.next();
      if (list === null) return null;
      const named = list.split(",").map((model) => model.trim()).filter(Boolean);
      models = named.length > 0 ? named : here;
      if (models.length === 0) continue;
    }
    const choice: PermissionChoice = { preset, models, ...nameOf(flags) };
    out.line(`\n${preview(name, choice)}`);
    out.text("Is that right? Yes or no [yes]: ");
    const sure = await lines.next();
    if (sure === null) return null;
    if (isYes(sure) || sure === "") return choice;
  }
}

/** Whether a person typed some form of yes. */
export function isYes(text: string): boolean {
  return /^y(es)?$/i.test(text);
}

function preview(name: string, { preset, models }: PermissionChoice): string {
  const { permissions, livesMs } = presetTerms(preset, models);
  const until = livesMs === null ? null : new Date(Date.now() + livesMs).toISOString();
  const said = describePermissions(name, permissions satisfies Permissions, until);
  return preset === "none" ? said : `${said} You can stop this at any moment.`;
}

async function modelsHere(node: NodeClient): Promise<string[]> {
  const { models } = await node.call<{ models: RoutedModel[] }>("/models");
  return models.filter(({ local }) => local).map(({ id }) => id);
}

function expiryOf(flags: ParsedArgs["flags"], flag: string): { expires_at?: string | null } {
  const text = textFlag(flags, flag);
  if (text === undefined) return {};
  const ms = duration(flag, text);
  return { expires_at: ms === null ? null : new Date(Date.now() + ms).toISOString() };
}

function nameOf(flags: ParsedArgs["flags"]): { name?: string } {
  const name = textFlag(flags, "name");
  return name === undefined ? {} : { name };
}
