import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { Config } from "@ark/node/config";
import type { Finding } from "@ark/node/http";
import { formatAddress, type PeerAddress, presentedKey } from "@ark/node/transport";

/** A port on which a node would listen. */
interface WantedPort {
  check: string;
  what: string;
  flag: string;
  address: PeerAddress;
}

/** How long what answers at a port may take to say what it is, in milliseconds. */
const ANSWER_MS = 1_500;
/** Port of an Ollama that nobody told to take another one. */
const OLLAMA_PORT = 11_434;

/** Whether a node that does not run could listen where its owner wants it to. */
export async function freePorts(config: Config, signal: AbortSignal): Promise<Finding[]> {
  const { listen, meshListen, ollamaPort } = config;
  const wanted: WantedPort[] = [
    { check: "api-port", what: "The API", flag: "listen", address: listen },
    { check: "mesh-port", what: "The mesh", flag: "mesh-listen", address: meshListen },
    ...ollamaPort === null ? [] : [{
      check: "ollama-port",
      what: "The API for clients of Ollama",
      flag: "ollama-port",
      address: { hostname: "127.0.0.1", port: ollamaPort },
    }],
  ];
  const found = await Promise.all(wanted.map((one) => freePort(one, signal)));
  return found.flat();
}

async function freePort({ check, what, flag, address }: WantedPort, signal: AbortSignal): Promise<Finding[]> {
  const where = formatAddress(address);
  try {
    Deno.listen({ ...address }).close();
    return [{ check, level: "ok", sentence: `${what} can listen on ${where}` }];
  } catch (error) {
    const code = String((error as { code?: unknown }).code ?? "");
    if (error instanceof Deno.errors.AddrInUse || code === "EADDRINUSE") {
      return [taken({ check, what, flag, address }, await whoAnswers(address, signal))];
    }
    if (error instanceof Deno.errors.PermissionDenied || code === "EACCES") {
      return [{
        check,
        level: "danger",
        sentence: `${what} may not listen on ${where}: ports below 1024 are for root`,
        fix: `Take a port from 1024 on: --${flag} ${formatAddress({ ...address, port: address.port + 8_000 })}`,
      }];
    }
    return [{
      check,
      level: "danger",
      sentence: `${what} cannot listen on ${where}: this machine does not have that address`,
      why: `It has ${ownAddresses().join(", ").slice(0, 300) || "none at all"}`,
      fix: `Correct --${flag}, or give the machine that address; 0.0.0.0 means every address it has`,
    }];
  }
}

function taken({ check, what, flag, address }: WantedPort, who: "node" | "ollama" | null): Finding {
  const { port } = address;
  const other = flag === "ollama-port" ? "leave out --ollama-port" : `choose another with --${flag}`;
  const show = Deno.build.os === "windows"
    ? `netstat -abno | findstr :${port}`
    : Deno.build.os === "darwin"
    ? `sudo lsof -iTCP:${port} -sTCP:LISTEN`
    : `sudo ss -ltnp 'sport = :${port}'`;
  if (who === "node") {
    return {
      check,
      level: "danger",
      sentence: `Another ark-node already listens on ${formatAddress(address)}`,
      why: "It has another data directory, or belongs to another user, such as a service of the system",
      fix: `Ask that one (ark-node doctor --data DIR), stop it, or ${other}`,
    };
  }
  const program = who === "ollama" || (flag === "ollama-port" && port === OLLAMA_PORT)
    ? "Ollama itself"
    : "another program";
  return {
    check,
    level: "danger",
    sentence: `${what} cannot listen on ${formatAddress(address)}: ${program} has that port`,
    why: `This says which program it is: ${show}`,
    fix: `Stop it, or ${other}`,
  };
}

/** What kind of program listens at an address of this machine. Never rejects. */
async function whoAnswers({ hostname, port }: PeerAddress, signal: AbortSignal): Promise<"node" | "ollama" | null> {
  const host = hostname === "0.0.0.0" ? "127.0.0.1" : hostname === "::" ? "::1" : hostname;
  const enough = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  const [api, ollama, mesh] = await Promise.all([
    said(`http://${formatAddress({ hostname: host, port })}/healthz`, enough),
    said(`http://${formatAddress({ hostname: host, port })}/`, enough),
    isIP(host) === 0 ? false : presentedKey({ hostname: host, port }, { timeoutMs: ANSWER_MS, signal: enough }).then(
      () => true,
      () => false,
    ),
  ]);
  if (mesh || /^\{"status":"ok"\}$/.test(api)) return "node";
  return /^Ollama is running/.test(ollama) ? "ollama" : null;
}

/** The beginning of what a server says, or nothing. */
async function said(url: string, signal: AbortSignal): Promise<string> {
  try {
    const response = await fetch(url, { signal, redirect: "manual" });
    const reader = response.body?.getReader();
    const { value } = await reader?.read() ?? {};
    await reader?.cancel();
    return new TextDecoder().decode(value?.subarray(0, 256)).trim();
  } catch {
    return "";
  }
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((infos) => infos?.map(({ address }) => address) ?? []);
}
