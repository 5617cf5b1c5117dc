import { reasonOf } from "@ark/node/protocol";
import { formatAddress, type PeerAddress } from "@ark/node/transport";
import { address, isLoopback } from "./address.ts";
import { ConfigError } from "./config_error.ts";

/** What the owner set about registries. */
export interface RegistrySettings {
  /** Registry that is asked where approved nodes are, or null. */
  readonly url: URL | null;
  /** Where this node wants to be found, as `host:port`; none keeps it out of the registry. */
  readonly endpoints: readonly string[];
  /** Names of models, with `*` for any text, that this node wants to be found by. */
  readonly models: readonly string[];
  /** Where this node is a registry, if it has that role. */
  readonly listen: PeerAddress;
  /** Its certificate and key in PEM, or null: without encryption, on the loopback alone. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** `postgres://…` where it keeps what it knows, or null: in the data directory. */
  readonly database: string | null;
}

/** Flags of registries. */
export const REGISTRY_FLAGS = {
  registry: { value: "URL", help: "registry that is asked where approved nodes are (default: none)" },
  "registry-endpoint": {
    value: "HOST:PORT",
    multiple: true,
    help: "be listed in --registry with this address; may be repeated",
  },
  "registry-model": {
    value: "MODEL",
    multiple: true,
    help: "be listed with this model, * for any text; may be repeated",
  },
  "registry-listen": {
    value: "HOST:PORT",
    help: "where the role registry listens (default: 127.0.0.1:8912)",
  },
  "tls-cert": { value: "FILE", help: "certificate of the registry in PEM; needed beyond the loopback" },
  "tls-key": { value: "FILE", help: "key of that certificate" },
} as const;

/**
 * Reads the flags of registries, and `DATABASE_URL`.
 *
 * @throws {ConfigError} with one sentence that names the flag.
 */
export async function registrySettings(
  { text, list, env, registers }: {
    text(name: string): string | undefined;
    list(name: string): string[];
    env(name: string): string | undefined;
    /** Whether this node is a registry. */
    registers: boolean;
  },
): Promise<RegistrySettings> {
  const url = registryUrl(text("registry"));
  const endpoints = list("registry-endpoint").map((one) => formatAddress(lowerAddress("registry-endpoint", one, 8911)));
  if (endpoints.length > 0 && url === null) {
    throw new ConfigError("Cannot use --registry-endpoint without --registry URL: it says where to be listed");
  }
  const listen = lowerAddress("registry-listen", text("registry-listen") ?? "127.0.0.1:8912", 8912);
  const tls = await certificate(text("tls-cert"), text("tls-key"));
  if (registers && tls === null && !isLoopback(listen.hostname)) {
    throw new ConfigError(
      `Cannot use --registry-listen ${formatAddress(listen)} without --tls-cert and --tls-key: beyond this machine a ` +
        "registry is encrypted; or let a reverse proxy do that, and listen on the loopback",
    );
  }
  const database = env("DATABASE_URL") ?? null;
  if (registers && database !== null && !/^postgres(ql)?:\/\//.test(database)) {
    throw new ConfigError("Cannot use DATABASE_URL: it must begin with postgres://");
  }
  return { url, endpoints, models: list("registry-model"), listen, tls, database };
}

function registryUrl(text: string | undefined): URL | null {
  if (text === undefined) return null;
  const url = URL.parse(text);
  const own = url !== null && isLoopback(url.hostname.replace(/^\[(.*)\]$/, "$1"));
  if (url === null || !(url.protocol === "https:" || (url.protocol === "http:" && own)) || url.search || url.hash) {
    throw new ConfigError(`Cannot use --registry ${text}: it is an address such as https://registry.example`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new ConfigError("Cannot use a --registry with a password in it: a registry needs none");
  }
  return url;
}

/** As what is signed spells it, and as certificates are compared. */
function lowerAddress(flag: string, text: string, port: number): PeerAddress {
  return address(flag, text.toLowerCase(), port);
}

async function certificate(cert: string | undefined, key: string | undefined): Promise<RegistrySettings["tls"]> {
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined) {
    throw new ConfigError("Flags --tls-cert and --tls-key belong together: give both");
  }
  try {
    return { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) };
  } catch (error) {
    throw new ConfigError(`Cannot use --tls-cert and --tls-key: ${reasonOf(error)}`);
  }
}
