import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Config } from "@ark/node/config";
import { RegistryClient } from "@ark/node/discovery";
import type { Finding } from "@ark/node/http";
import { ArkError } from "@ark/node/protocol";
import { Upstream } from "@ark/node/routing";

/** How long a name server may take, in milliseconds. */
const LOOKUP_MS = 2_000;
const QUIET = { info() {}, warn() {} };

/** Whether the servers answer that the owner named: each is asked now. */
export async function servers(
  { upstreams, registry }: Pick<Config, "upstreams" | "registry">,
  signal: AbortSignal,
): Promise<Finding[]> {
  const found = await Promise.all([
    ...upstreams.map((one) => upstream(one, signal)),
    ...registry.url === null ? [] : [registryAnswers(registry.url)],
  ]);
  return found.flat();
}

async function upstream(config: Config["upstreams"][number], signal: AbortSignal): Promise<Finding[]> {
  const check = "upstream";
  using server = new Upstream({ ...config, logger: QUIET });
  await server.look(signal);
  const { ready, reason, models, name, url } = server.status();
  if (ready) {
    return [{
      check,
      level: "ok",
      sentence: `The server ${name} answers, and has ${models === 1 ? "a model" : `${models} models`}`,
    }];
  }
  const refused = /refuses this node's key/.test(reason ?? "");
  const { hostname } = new URL(url);
  const unknown = !refused && await isUnknownName(hostname, signal);
  const sentence = refused
    ? `The server ${name} refuses this node's key`
    : unknown
    ? `The server ${name} cannot be found: no name server knows ${hostname}`
    : `The server ${name} does not answer as it should (${url})`;
  const fix = refused
    ? `Put its key into a file, and name that: --upstream-key-file ${name}=FILE`
    : unknown
    ? "Correct the name in --upstream, or see whether this machine's name servers answer (/etc/resolv.conf)"
    : "Start it, correct --upstream, or leave it out; see what it says: curl " + `${url}/v1/models`;
  return [{
    check,
    level: "warning",
    sentence,
    fix,
    ...refused || reason === null ? {} : { why: clean(withoutKey(reason, config.key)) },
  }];
}

async function registryAnswers(url: URL): Promise<Finding[]> {
  const check = "registry";
  try {
    // Nothing is called so: it is asked whether it answers, and not for its whole list.
    await new RegistryClient(url).list({ model: "ark-doctor:none" });
    return [{ check, level: "ok", sentence: `The registry ${url.host} answers` }];
  } catch (error) {
    const { signal } = new AbortController();
    const unknown = await isUnknownName(url.hostname, signal);
    return [{
      check,
      level: "warning",
      sentence: unknown
        ? `The registry cannot be found: no name server knows ${url.hostname}`
        : error instanceof ArkError
        ? clean(error.message)
        : `The registry ${url.host} does not answer`,
      why: "Peers that moved are not found there; those that are near, or where they were, are found all the same",
      fix: unknown
        ? "Correct --registry, or see whether this machine's name servers answer (/etc/resolv.conf)"
        : `See whether it answers (curl ${new URL(
          "/registry/v1/nodes?limit=1",
          url,
        )}), correct --registry, or leave it out`,
    }];
  }
}

/** Whether a host is a name that cannot be resolved now. */
export async function isUnknownName(hostname: string, signal: AbortSignal): Promise<boolean> {
  const host = hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0 || host === "localhost") return false;
  const enough = new AbortController();
  const known = lookup(host).then(() => false, () => true);
  const either = AbortSignal.any([signal, enough.signal]);
  const late = pause(LOOKUP_MS, undefined, { signal: either }).then(() => false, () => false);
  // A name server that is silent does not know it either, but which of both it is cannot be told in time.
  const unknown = await Promise.race([known, late]);
  enough.abort();
  return unknown;
}

/** What a server said, without the key that it may have repeated. */
function withoutKey(said: string, key: string | null): string {
  return key === null ? said : said.replaceAll(key, "…");
}

function clean(sentence: string): string {
  return sentence.split("\n")[0]?.replace(/[.\s]+$/, "").slice(0, 250) ?? "";
}
