import type { Finding } from "@ark/node/http";
import { formatAddress } from "@ark/node/transport";
import type { ListenerFacts } from "./facts.ts";

/** Who can reach the node, and what they get. Pure. */
export function exposure(facts: ListenerFacts): Finding[] {
  return [...localListener(facts), ...openProxy(facts), ...webPages(facts), meshListener(facts)];
}

function localListener({ local, loopback, tunnel, keysRequired, keys }: ListenerFacts): Finding[] {
  const check = "local-listener";
  const where = `http://${formatAddress(local)}`;
  if (loopback) {
    const who = keysRequired ? "it answers apps with an API key" : "any app of this machine may use it";
    return [{ check, level: "ok", sentence: `The API listens on this machine only (${where}), and ${who}` }];
  }
  const clear: Finding = tunnel ? { check, level: "ok", sentence: `The API listens inside a tunnel (${where})` } : {
    check,
    level: "warning",
    sentence: `The API is open to the network (${where}), and API keys, questions and answers travel there in clear`,
    fix: "Listen on 127.0.0.1 again, or on the address of a WireGuard tunnel, or put a proxy with TLS in front",
  };
  if (keys > 0) return [clear];
  const sentence = `Others can reach the API (${where}) and there is no API key yet, so it answers no app`;
  return [clear, {
    check: "api-keys",
    level: "warning",
    sentence,
    fix: "Make a key for each app: ark-node keys create NAME",
  }];
}

function openProxy({ proxiedWithoutKey }: ListenerFacts): Finding[] {
  if (!proxiedWithoutKey) return [];
  return [{
    check: "open-proxy",
    level: "danger",
    sentence:
      "A reverse proxy passes requests on that carry no API key, so whoever reaches the proxy may use the models",
    fix: "Start the node with --require-keys, and make a key for each app: ark-node keys create NAME",
  }];
}

function webPages({ origins }: ListenerFacts): Finding[] {
  if (origins.length === 0) return [];
  const sentence = `Web pages of ${origins.join(", ")} may use the API`;
  const plain = origins.filter((origin) =>
    origin.startsWith("http:") && !/^http:\/\/(localhost|127\.|\[::1\])/.test(origin)
  );
  if (plain.length === 0) return [{ check: "web-pages", level: "ok", sentence }];
  return [{
    check: "web-pages",
    level: "warning",
    sentence: `${sentence}, and what comes by http: can be changed by anyone on the way`,
    fix: "Serve the page by https, and name that origin with --allow-origin",
  }];
}

function meshListener({ mesh, meshLoopback }: ListenerFacts): Finding {
  const where = formatAddress(mesh);
  const sentence = meshLoopback
    ? `Other nodes cannot connect: the mesh listens on this machine only (${where})`
    : `Other nodes may connect to ${where}; only those that you approved get an answer`;
  return { check: "mesh-listener", level: "ok", sentence };
}
