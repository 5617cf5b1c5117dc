/** A setting that cannot be used. The message is one sentence that names the setting and says what to do. */
export class ConfigError extends Error {
  /** Always `"ConfigError"`. */
  override readonly name = "ConfigError";
}
