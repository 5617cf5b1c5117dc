/**
 * What the owner asked for, read once, checked, frozen.
 *
 * A value comes from the first of: flag, environment (`ARK_…`), configuration file, preset, default. {@linkcode loadConfig} is the only place that
 * knows this order; nothing to the left of this module reads an environment variable or a flag. A wrong value is a
 * {@linkcode ConfigError} with one sentence that names the flag.
 *
 * @example
 * ```ts
 * import { loadConfig } from "@ark/node/config";
 *
 * const config = await loadConfig({ flags: { data: "/tmp/ark", listen: "127.0.0.1:0" }, env: () => undefined });
 * console.log(config.roles); // ["compute", "gateway"]
 * ```
 *
 * @module
 */
export { isLoopback } from "./address.ts";
export * from "./config.ts";
export * from "./config_file.ts";
export * from "./config_schema.ts";
export * from "./data_directory.ts";
export { duration } from "./flag_value.ts";
export * from "./flags.ts";
export * from "./own_settings.ts";
export * from "./setting_values.ts";
export * from "./presets.ts";
export type { UpstreamConfig } from "./upstreams.ts";
export type { ModelStores } from "./model_stores.ts";
export type { RegistrySettings } from "./registry_settings.ts";
export * from "./share_hours.ts";
export * from "./yield_setting.ts";
