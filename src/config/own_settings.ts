import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { ArkError, reasonOf } from "@ark/node/protocol";
import { writeDurably } from "@ark/node/store";
import { type Config, loadConfig, SERVE_FLAGS, settingsOf } from "./config.ts";
import { ConfigError } from "./config_error.ts";
import { CONFIG_FILE_NAMES, parseConfig } from "./config_file.ts";
import { editConfig } from "./edit_config.ts";
import type { ParsedArgs } from "./flags.ts";
import type { SettingValue } from "./setting_values.ts";

/** A setting as its owner is told of it. */
export interface OwnSetting extends SettingValue {
  /** Name of its flag, without dashes. */
  readonly name: string;
  /** What its flag takes, or null for a switch. */
  readonly takes: string | null;
  /** Whether it is a list. */
  readonly multiple: boolean;
  /** What it means. */
  readonly help: string;
  /** Whether {@linkcode OwnSettings.change} changes it. */
  readonly changes: boolean;
  /** Whether it counts from the next start only, and is another one until then. */
  readonly waits: boolean;
}

/** Settings that count at once when the file is changed, and what they are in {@linkcode Config}. */
export const LIVE_SETTINGS: Readonly<Record<string, keyof Config>> = {
  "log-level": "logLevel",
  "allow-origin": "allowOrigins",
  "share-hours": "shareHours",
  yield: "yieldTo",
  "on-yield": "onYield",
};

/**
 * Settings that can be changed without an editor. None of them opens the node to anybody, names a file of the machine, or
 * runs anything: those the owner writes into the file himself.
 */
const CHANGEABLE: ReadonlySet<string> = new Set(
  ("name slots max-queued max-loaded context keep-alive vram-reserve upload-limit share-hours yield on-yield seed-models " +
    "seed-hours show-hardware accept-copies approve-models prewarm wake-seconds hedge stall-ms move registry " +
    "registry-endpoint registry-model log-level drain").split(" "),
);

/** What the node was started with. */
export interface GivenSettings {
  /** Flags of its command line. */
  readonly flags: ParsedArgs["flags"];
  /** Reads its environment. */
  env(name: string): string | undefined;
}

/** What a node is set to and who says so, for its owner to see and to change. */
export class OwnSettings {
  readonly #given: GivenSettings;
  readonly #began: ReadonlyMap<string, SettingValue>;
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(given: GivenSettings, began: ReadonlyMap<string, SettingValue>) {
    this.#given = given;
    this.#began = began;
  }

  /** Notes what the node starts with. Rejects as `loadConfig` does. */
  static async begin(given: GivenSettings): Promise<OwnSettings> {
    const { values } = await settingsOf(given);
    const began = Object.entries(SERVE_FLAGS).map(([name, spec]) => [name, values.setting(name, spec)] as const);
    return new OwnSettings(given, new Map(began));
  }

  /**
   * All settings, and the file that they can be changed in, which need not be there.
   *
   * @throws {ArkError} `unavailable` where the file cannot be read by now.
   */
  async list(): Promise<{ file: string; settings: OwnSetting[] }> {
    const { values, file, root } = await this.#now();
    const settings = Object.entries(SERVE_FLAGS).map(([name, spec]): OwnSetting => {
      const now = values.setting(name, spec);
      return {
        name,
        ...now,
        takes: spec.value ?? null,
        multiple: spec.multiple === true,
        help: spec.help,
        changes: CHANGEABLE.has(name) && now.from !== "flag" && now.from !== "environment",
        waits: !(name in LIVE_SETTINGS) && !isDeepStrictEqual(now.value, this.#began.get(name)?.value),
      };
    });
    return { file: file?.path ?? join(root, CONFIG_FILE_NAMES[0]), settings };
  }

  /**
   * Writes a setting into the configuration file, or takes it out with null. What would keep the node from starting is refused.
   *
   * @throws {ArkError} `bad_request` with one sentence; nothing was changed then.
   */
  change(name: string, value: string | boolean | readonly string[] | null): Promise<void> {
    const change = this.#changing.then(() => this.#change(name, value));
    this.#changing = change.catch(() => {});
    return change;
  }

  async #change(name: string, value: string | boolean | readonly string[] | null): Promise<void> {
    const { settings, file: path } = await this.list();
    const setting = settings.find((one) => one.name === name);
    if (setting === undefined) throw new ArkError("bad_request", `There is no setting ${name.slice(0, 60)}`);
    if (setting.from === "flag" || setting.from === "environment") {
      const where = setting.from === "flag" ? "on the command line" : "in the environment";
      throw new ArkError(
        "bad_request",
        `Cannot change ${name} here: it is given ${where} that the node was started with`,
      );
    }
    if (!setting.changes) throw new ArkError("bad_request", `Cannot change ${name} here: write it into ${path}`);
    try {
      const real = await Deno.realPath(path).catch(() => path);
      const [before, mode] = await Promise.all([
        Deno.readTextFile(real).catch((error) => error instanceof Deno.errors.NotFound ? "" : Promise.reject(error)),
        Deno.stat(real).then((stat) => stat.mode, () => null),
      ]);
      const text = editConfig(before, { path, name, value });
      await loadConfig({ ...this.#given, file: parseConfig(text, { path, specs: SERVE_FLAGS }) });
      await writeDurably(real, text);
      if (mode !== null && Deno.build.os !== "windows") await Deno.chmod(real, mode & 0o777);
    } catch (error) {
      if (error instanceof ConfigError) throw new ArkError("bad_request", error.message);
      throw new ArkError("unavailable", `Cannot write ${path}: ${reasonOf(error)}`, { cause: error });
    }
  }

  async #now(): Promise<Awaited<ReturnType<typeof settingsOf>>> {
    try {
      return await settingsOf(this.#given);
    } catch (error) {
      throw new ArkError("unavailable", reasonOf(error), { cause: error });
    }
  }
}
