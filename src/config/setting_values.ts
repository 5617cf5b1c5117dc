import type { ConfigFile } from "./config_file.ts";
import { environmentName, switchedOn } from "./flag_value.ts";
import type { FlagSpec, ParsedArgs } from "./flags.ts";

/** Where a value comes from. */
export type SettingOrigin = "flag" | "environment" | "file" | "preset" | "default";

/** One setting as it counts now. */
export interface SettingValue {
  /** Its text, switch or list; null where nobody gave one, so that the default of its help counts. */
  readonly value: string | boolean | readonly string[] | null;
  /** Who gave it. */
  readonly from: SettingOrigin;
}

/** Where the settings of a node are read. */
export interface SettingSources {
  /** Of the command line. */
  flags: ParsedArgs["flags"];
  /** Reads an environment variable. */
  env(name: string): string | undefined;
  /** The configuration file, or null. */
  file: ConfigFile | null;
  /** What the preset of the machine says. */
  preset: ParsedArgs["flags"];
}

/** The settings of a node: flag, else environment, else configuration file, else preset. */
export class SettingValues {
  readonly #sources: SettingSources;

  /** Reads from these. */
  constructor(sources: SettingSources) {
    this.#sources = sources;
  }

  /** A text, or undefined. */
  text(name: string): string | undefined {
    const { value } = this.#text(name);
    return typeof value === "string" ? value : undefined;
  }

  /** A list, which may be empty. */
  list(name: string): string[] {
    const { value } = this.#list(name);
    return Array.isArray(value) ? [...value] : [];
  }

  /**
   * Whether a switch is on.
   *
   * @throws {ConfigError} where its environment variable is neither on nor off.
   */
  on(name: string): boolean {
    return this.#switch(name).value === true;
  }

  /**
   * A setting of any kind, and where it comes from.
   *
   * @throws {ConfigError} as {@linkcode on} does.
   */
  setting(name: string, spec: FlagSpec): SettingValue {
    if (spec.value === undefined) return this.#switch(name);
    return spec.multiple ? this.#list(name) : this.#text(name);
  }

  #text(name: string): SettingValue {
    const { [name]: flag } = this.#sources.flags;
    if (typeof flag === "string") return { value: flag, from: "flag" };
    const variable = this.#variable(name);
    return variable !== "" ? { value: variable, from: "environment" } : this.#set(name, "string");
  }

  #list(name: string): SettingValue {
    const { [name]: flag } = this.#sources.flags;
    if (Array.isArray(flag)) return { value: flag, from: "flag" };
    const listed = this.#variable(name).split(",").map((part) => part.trim()).filter(Boolean);
    return listed.length > 0 ? { value: listed, from: "environment" } : this.#set(name, "object");
  }

  #switch(name: string): SettingValue {
    if (this.#sources.flags[name] === true) return { value: true, from: "flag" };
    const variable = this.#variable(name);
    return variable === "" ? this.#set(name, "boolean") : { value: switchedOn(name, variable), from: "environment" };
  }

  #variable(name: string): string {
    return this.#sources.env(environmentName(name)) ?? "";
  }

  /** What file or preset say, of the kind that the setting has. */
  #set(name: string, kind: "string" | "boolean" | "object"): SettingValue {
    const { file, preset } = this.#sources;
    const from = file?.values[name] !== undefined ? "file" : "preset";
    const value = from === "file" ? file?.values[name] : preset[name];
    return typeof value === kind && value !== undefined ? { value, from } : { value: null, from: "default" };
  }
}
