import { CONFIG_PRESETS, configSchema, loadConfig, SERVE_FLAGS } from "@ark/node/config";
import { type Command, EXIT, UsageError } from "../command.ts";

/** Examines a configuration without starting a node. */
export const CONFIG_CHECK: Command = {
  name: "config check",
  summary: "Say whether a configuration can be used, without starting a node",
  usage: "[FILE]",
  flags: Object.fromEntries(Object.entries(SERVE_FLAGS).filter(([name]) => name !== "data" && name !== "config")),
  details: `
Each flag of serve is a setting of the file, by its name without dashes in front:

  name = "nas"                       # ark.toml, or --config FILE
  preset = "nas"                     # ${Object.keys(CONFIG_PRESETS).join(", ")}
  models = ["/srv/models"]
  listen = "127.0.0.1:8910"

A flag counts before the environment (ARK_…), that before the file, the file before the preset. A
running node follows the file: log-level and allow-origin count at once, the rest from its next start.`,
  async run({ words, flags, env, json, out }) {
    const [file, ...more] = words;
    if (more.length > 0) throw new UsageError("Name one file: ark-node config check [FILE]");
    const config = await loadConfig({ flags: { ...flags, ...file === undefined ? {} : { config: file } }, env });
    if (json) out.json({ ok: true, file: config.file, config });
    else if (config.file === null) {
      out.line(`There is no configuration file in ${config.paths.root}; flags and environment can be used`);
    } else out.line(`${config.file} can be used`);
    return EXIT.ok;
  },
};

/** Prints the schema of the configuration file. */
export const CONFIG_SCHEMA: Command = {
  name: "config schema",
  summary: "Print the JSON schema of the configuration file, for editors",
  usage: "",
  flags: {},
  run({ out }) {
    out.line(JSON.stringify(configSchema(SERVE_FLAGS), null, 2));
    return Promise.resolve(EXIT.ok);
  },
};
