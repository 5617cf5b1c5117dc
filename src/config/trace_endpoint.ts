import { ConfigError } from "./config_error.ts";

/** Where a collector takes spans. What names no path means OTLP's own, as OpenTelemetry's variables do. */
export function traceEndpoint(text: string | undefined): string | null {
  if (text === undefined || text === "off") return null;
  const url = URL.parse(text);
  const plain = url !== null && ["http:", "https:"].includes(url.protocol) &&
    url.username + url.password + url.hash === "";
  if (!plain) {
    throw new ConfigError(
      `Cannot use --trace-endpoint ${text}: it is the address of a collector such as http://127.0.0.1:4318, without a key`,
    );
  }
  if (url.pathname === "/" && url.search === "") url.pathname = "/v1/traces";
  return url.href;
}
