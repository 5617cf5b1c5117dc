import { availableParallelism, hostname as hostName } from "node:os";
import { resolve } from "node:path";
import type { EngineChoice, GpuChoice, LoraFile } from "@ark/node/inference";
import type { Alias, SeedingRules } from "@ark/node/models";
import { label } from "@ark/node/protocol";
import type { HedgeSetting, MoveSetting, StallSetting } from "@ark/node/routing";
import type { LogLevel } from "@ark/node/telemetry";
import type { PeerAddress } from "@ark/node/transport";
import { address, isLoopback } from "./address.ts";
import { byteRate, bytes, choice, environmentName, lora, natural, stay } from "./flag_value.ts";
import { ConfigError } from "./config_error.ts";
import { type ConfigFile, findConfigFile, readConfigFile } from "./config_file.ts";
import { presetValues } from "./presets.ts";
import { ARK_SERVER_DATA, type DataPaths, dataPaths, defaultDataDirectory } from "./data_directory.ts";
import { aliasOf, type ModelStores, modelStores } from "./model_stores.ts";
import type { FlagSpec, ParsedArgs } from "./flags.ts";
import { hedgeSetting, stallSetting } from "./routing_flags.ts";
import { REGISTRY_FLAGS, type RegistrySettings, registrySettings } from "./registry_settings.ts";
import { seedingRules } from "./seeding.ts";
import { SettingValues } from "./setting_values.ts";
import { type ShareHours, shareHours } from "./share_hours.ts";
import { traceEndpoint } from "./trace_endpoint.ts";
import { type UpstreamConfig, upstreams } from "./upstreams.ts";
import { type YieldSetting, yieldSetting } from "./yield_setting.ts";

export { ConfigError } from "./config_error.ts";

/** What a node can be; every node runs the same executable. */
export const ROLE_NAMES = ["compute", "gateway", "registry"] as const;

/** What a node is unless its owner says otherwise. */
const USUAL_ROLES = "compute,gateway";

/** One of {@linkcode ROLE_NAMES}. */
export type RoleName = typeof ROLE_NAMES[number];

/** Everything the owner can set about a running node. */
export interface Config {
  /** The file with settings that were read, or null. */
  readonly file: string | null;
  /** What this node does. */
  readonly roles: readonly RoleName[];
  /** Where it keeps its data. */
  readonly paths: DataPaths;
  /** Label that approved peers see. */
  readonly name: string;
  /** Owner's API. */
  readonly listen: PeerAddress;
  /** Port of the loopback where the owner's API listens as well, for clients of Ollama; null is none. */
  readonly ollamaPort: number | null;
  /** Whether the owner's API answers nobody without an API key; always so beyond the loopback. */
  readonly requireKeys: boolean;
  /** Names beside the machine's own under which the owner's API may be called. */
  readonly allowHosts: readonly string[];
  /** Origins of web pages that may use the owner's API, exactly as browsers write them. */
  readonly allowOrigins: readonly string[];
  /** Peers. */
  readonly meshListen: PeerAddress;
  /** Folders with GGUF files. */
  readonly modelDirectories: readonly string[];
  /** Folders with content packs. */
  readonly contentDirectories: readonly string[];
  /** Models of other programs, and where models are fetched from. */
  readonly modelStores: ModelStores;
  /** Which models are given to peers that may download them, and when. */
  readonly seeding: SeedingRules;
  /** When peers may use this node at all; null for always. */
  readonly shareHours: readonly ShareHours[] | null;
  /** To which uses of the machine by its owner the node yields. */
  readonly yieldTo: YieldSetting;
  /** What becomes of answers to peers that run when it yields: they finish, or go on elsewhere. */
  readonly onYield: "finish" | "move";
  /** How long a request waits for one of the owner's sleeping nodes that it wakes, in milliseconds; 0 wakes none. */
  readonly wakeMs: number;
  /** Whether models are fetched from the owner's other nodes when he wishes for copies of them. */
  readonly acceptCopies: boolean;
  /** Second names of models. */
  readonly aliases: readonly Alias[];
  /** Addresses to dial where multicast does not pass. */
  readonly peers: readonly PeerAddress[];
  /** Whether mDNS announces and browses. */
  readonly mdns: boolean;
  /** Whether an approved peer may go on under a new key without the owner's word. */
  readonly autoRotate: boolean;
  /** Whether peers of WireGuard interfaces are looked for, where there are some. */
  readonly wireguard: "auto" | "off";
  /** Servers beside this node's own engine. */
  readonly upstreams: readonly UpstreamConfig[];
  /** Whether approved peers may use models of upstream servers as if they were this node's own. */
  readonly shareUpstreams: boolean;
  /** Which GPU backend the engine may use. */
  readonly gpu: GpuChoice;
  /** Engine threads; null lets the engine fit them to model and machine. */
  readonly threads: number | null;
  /** Most tokens of context that the engine reserves per stream. */
  readonly contextSize: number;
  /** Memory of the GPU that stays free, in bytes; null is the engine's default. */
  readonly vramReserve: number | null;
  /** Models kept in memory at once, where it has room for them. */
  readonly maxLoaded: number;
  /** Answers that a model writes at once; null lets them fit model and machine. */
  readonly slots: number | null;
  /** Requests that wait at once. */
  readonly maxQueued: number;
  /** How long a model stays that nobody uses, in milliseconds; null is for ever. */
  readonly keepAliveMs: number | null;
  /** Models that are loaded at the start. */
  readonly preload: readonly string[];
  /** Models that are loaded at the start, and never leave to make room. */
  readonly pinned: readonly string[];
  /** Models of which some of the owner's nodes keep one in memory, and how many nodes; null where `pinned` says it all. */
  readonly replicas: { readonly models: readonly string[]; readonly count: number } | null;
  /** Whether models are loaded before they are asked for, as the hours of earlier days say. */
  readonly prewarm: boolean;
  /** Whether a model that came from elsewhere waits until the owner approves it. */
  readonly approveModels: boolean;
  /** Which implementation of the engine runs models. */
  readonly engine: EngineChoice;
  /** Additions to models that the owner's requests may name. */
  readonly loras: readonly LoraFile[];
  /** Whether a second node is asked beside one that is slow to begin. */
  readonly hedge: HedgeSetting;
  /** Which silence of a running answer is a stall, so that another node goes on with it. */
  readonly stall: StallSetting;
  /** Whether requests that wait and long answers go to a node where they end sooner. */
  readonly move: MoveSetting;
  /** Least severe log lines that are printed. */
  readonly logLevel: LogLevel;
  /** How log lines look. */
  readonly logFormat: "text" | "json";
  /** Where traces of requests are sent, or null: nowhere. */
  readonly traceEndpoint: string | null;
  /** Registries: which one is asked, whether this node is listed there, and how it is one itself. */
  readonly registry: RegistrySettings;
  /** Bytes in a second that files of models may go to peers with, to all of them together; null for no limit. */
  readonly uploadLimit: number | null;
  /** Whether approved peers may see what hardware this node has. */
  readonly showHardware: boolean;
  /** How long running answers may go on after SIGTERM, in milliseconds. */
  readonly drainMs: number;
}

/** Flags of `ark-node serve`, as `--help` lists them. Each is also an environment variable: `--mesh-listen` is `ARK_MESH_LISTEN`. */
export const SERVE_FLAGS: Record<string, FlagSpec> = {
  role: { value: "ROLES", help: "of compute, gateway, registry, with commas between (default: compute,gateway)" },
  data: { value: "DIR", help: "data directory (default: $ARK_DATA, else the platform's)" },
  config: { value: "FILE", help: "file with settings, TOML or JSON (default: ark.toml in the data directory)" },
  preset: { value: "MACHINE", help: "usual settings of a nas, gaming-pc, rented-gpu or gateway-only node" },
  name: { value: "NAME", help: "label that approved peers see (default: the machine's name)" },
  listen: { value: "HOST:PORT", help: "where your own apps connect (default: 127.0.0.1:8910)" },
  "ollama-port": { value: "PORT", help: "listen on this port of the loopback, too, as Ollama does on 11434" },
  "require-keys": { help: "answer no app without an API key, also on the loopback" },
  "allow-origin": {
    value: "ORIGIN",
    multiple: true,
    help: "web page that may use the API, such as https://ui.example; may be repeated",
  },
  "allow-host": {
    value: "NAME",
    multiple: true,
    help: "name under which the API may be called, such as ark.example; may be repeated",
  },
  "mesh-listen": { value: "HOST:PORT", help: "where other nodes connect (default: 0.0.0.0:8911)" },
  models: { value: "DIR", multiple: true, help: "folder with GGUF files; may be repeated" },
  content: { value: "DIR", multiple: true, help: "folder with content packs (*.zim of Kiwix); may be repeated" },
  "ollama-models": {
    value: "DIR",
    help: "Ollama's models, only read, or off (default: where Ollama keeps them)",
  },
  "hf-cache": { value: "DIR", help: "Hugging Face's cache, only read, or off (default: where its tools keep it)" },
  "hf-token-file": {
    value: "FILE",
    help: "file with your token for Hugging Face's gated models; or HF_TOKEN in the environment",
  },
  "ollama-registry": {
    value: "URL",
    help: "where plain names are pulled, such as https://registry.ollama.ai (default: nowhere)",
  },
  "accept-copies": { help: "fetch models from your other nodes when those wish for copies (see models keep)" },
  "seed-models": {
    value: "MODEL",
    multiple: true,
    help: "model that peers may be given, * for any text (default: all); may be repeated",
  },
  "seed-hours": { value: "FROM-UNTIL", help: "hours in which models are given, such as 22-7 (default: always)" },
  "share-hours": {
    value: "HOURS",
    multiple: true,
    help: "when peers may use this node: 22-7, 'mon-fri 22-7' (default: always); may be repeated",
  },
  yield: {
    value: "TO",
    help: "yield to you: auto, off, or some of gpu, game, cpu, input (default: auto)",
  },
  "on-yield": {
    value: "HOW",
    help: "answers to peers that run then: finish, or move to another node (default: finish)",
  },
  "wake-seconds": {
    value: "N",
    help: "wait so long for a node of yours that is woken for its model; 0: none (default: 60)",
  },
  alias: {
    value: "NAME=MODEL",
    multiple: true,
    help: "second name, such as gpt-4o=llama3.1:8b; may be repeated",
  },
  peer: {
    value: "HOST:PORT",
    multiple: true,
    help: "neighbour to look for where multicast does not pass; may be repeated",
  },
  "no-mdns": { help: "neither announce nor look for neighbours by mDNS" },
  "auto-rotate": { help: "let approved peers go on under a new key that their old one signed, without asking" },
  wireguard: {
    value: "WHICH",
    help: "look for nodes at the other ends of WireGuard tunnels: auto or off (default: auto)",
  },
  upstream: {
    value: "[NAME=]URL",
    multiple: true,
    help: "server with OpenAI's API or Ollama whose models are used, too; may be repeated",
  },
  "upstream-key-file": {
    value: "NAME=FILE",
    multiple: true,
    help: "file with the key of an upstream server; or ARK_UPSTREAM_KEY_NAME in the environment",
  },
  "share-upstreams": { help: "let approved peers use models of upstream servers as if they were this node's own" },
  gpu: { value: "WHICH", help: "auto, off, cuda, vulkan or metal (default: auto)" },
  threads: { value: "N", help: "engine threads (default: fits the model and the machine)" },
  context: { value: "TOKENS", help: "most tokens of context per stream (default: 8192)" },
  "vram-reserve": { value: "SIZE", help: "GPU memory that stays free, such as 2GiB" },
  "max-loaded": { value: "N", help: "most models in memory at once, where it has room for them (default: 4)" },
  slots: { value: "N", help: "answers that a model writes at once (default: up to 4, as memory has room)" },
  "max-queued": { value: "N", help: "most requests that wait for this node's models (default: 64)" },
  "keep-alive": { value: "TIME", help: "how long a model stays that nobody uses: 30s, 5m, 12h or never (default: 5m)" },
  preload: { value: "MODEL", multiple: true, help: "model to load at the start; may be repeated" },
  pin: { value: "MODEL", multiple: true, help: "model to load at the start and to keep in memory; may be repeated" },
  replicas: {
    value: "N",
    help: "keep a --pin on so many of your own nodes, not always here (see peers approve --own)",
  },
  prewarm: {
    value: "WHICH",
    help: "on or off: while idle, load what is mostly asked for at this hour (default: on)",
  },
  "approve-models": {
    help: "a model that was fetched or imported waits until you approve it (see models approve)",
  },
  engine: { value: "WHICH", help: "auto, native or addon (default: auto, the faster one that works here)" },
  lora: {
    value: "NAME=FILE",
    multiple: true,
    help: "addition to a model that your requests may name; may be repeated",
  },
  hedge: {
    value: "WHEN",
    help: "ask a second node where one is slow to begin: off, p95 or race:N (default: p95)",
  },
  "stall-ms": {
    value: "MS",
    help: "silence after which another node goes on: auto, off or a time (default: auto)",
  },
  move: {
    value: "WHICH",
    help: "on or off: what waits, or is long, goes to a node where it ends sooner (default: on)",
  },
  "upload-limit": {
    value: "RATE",
    help: "most that peers download from here in a second: 20MB or 100mbit (default: 0, no limit)",
  },
  "show-hardware": { help: "let approved peers see this node's memory and GPU (default: its models alone)" },
  "trace-endpoint": {
    value: "URL",
    help: "collector for traces (OTLP), such as http://127.0.0.1:4318 (default: none)",
  },
  ...REGISTRY_FLAGS,
  "log-level": { value: "LEVEL", help: "debug, info, warn or error (default: info)" },
  "log-format": { value: "FORMAT", help: "text or json (default: text)" },
  drain: { value: "SECONDS", help: "how long running answers may go on after SIGTERM (default: 30)" },
};

/** What {@linkcode loadConfig} reads from. */
export interface ConfigSources {
  /** Flags of the command line, by name without dashes. */
  flags: ParsedArgs["flags"];
  /** Reads an environment variable. */
  env(name: string): string | undefined;
  /** Stands for the configuration file, as if that said this. */
  file?: ConfigFile;
}

/**
 * Builds the configuration: flag, else environment, else configuration file, else preset, else default.
 *
 * @throws {ConfigError} with one sentence that names the flag.
 */
export async function loadConfig(sources: ConfigSources): Promise<Config> {
  const { env } = sources;
  const { file, values, root } = await settingsOf(sources);
  const text = (name: string) => values.text(name);
  const list = (name: string) => values.list(name);
  const on = (name: string) => values.on(name);
  const paths = dataPaths(root);
  const asked = roles(text("role") ?? USUAL_ROLES);
  const listen = address("listen", text("listen") ?? "127.0.0.1:8910", 8910);
  const reserve = text("vram-reserve");
  const threads = text("threads");
  const slots = text("slots");
  const keepAliveMs = stay("keep-alive", text("keep-alive") ?? "5m");
  const ollamaPort = text("ollama-port");
  return Object.freeze({
    file: file?.path ?? null,
    roles: asked,
    registry: await registrySettings({ text, list, env, registers: asked.includes("registry") }),
    paths,
    name: label(text("name") ?? hostName()) || "ark-node",
    listen,
    ollamaPort: ollamaPort === undefined ? null : natural("ollama-port", ollamaPort, { least: 0, most: 65_535 }),
    requireKeys: on("require-keys") || !isLoopback(listen.hostname),
    allowHosts: list("allow-host").map(allowedHost),
    allowOrigins: list("allow-origin").map(allowedOrigin),
    meshListen: address("mesh-listen", text("mesh-listen") ?? "0.0.0.0:8911", 8911),
    modelDirectories: [paths.models, ...list("models")],
    contentDirectories: list("content").map((path) => resolve(path)),
    modelStores: await modelStores({ text, env }),
    acceptCopies: on("accept-copies"),
    shareHours: list("share-hours").length === 0 ? null : list("share-hours").map(shareHours),
    yieldTo: yieldSetting(text("yield") ?? "auto"),
    onYield: choice("on-yield", text("on-yield") ?? "finish", ["finish", "move"]),
    wakeMs: natural("wake-seconds", text("wake-seconds") ?? "60", { least: 0, most: 600 }) * 1000,
    seeding: seedingRules(list("seed-models"), text("seed-hours")),
    aliases: list("alias").map(aliasOf),
    peers: list("peer").map(neighbour),
    mdns: !on("no-mdns"),
    autoRotate: on("auto-rotate"),
    wireguard: choice("wireguard", text("wireguard") ?? "auto", ["auto", "off"]),
    upstreams: await upstreams({ urls: list("upstream"), keyFiles: list("upstream-key-file"), env }),
    shareUpstreams: on("share-upstreams"),
    gpu: choice("gpu", text("gpu") ?? "auto", ["auto", "off", "cuda", "vulkan", "metal"]),
    threads: threads === undefined ? null : natural("threads", threads, { least: 1, most: availableParallelism() * 2 }),
    contextSize: natural("context", text("context") ?? "8192", { least: 64, most: 1 << 24 }),
    vramReserve: reserve === undefined ? null : bytes("vram-reserve", reserve),
    maxLoaded: natural("max-loaded", text("max-loaded") ?? "4", { least: 1, most: 64 }),
    slots: slots === undefined ? null : natural("slots", slots, { least: 1, most: 64 }),
    maxQueued: natural("max-queued", text("max-queued") ?? "64", { least: 1, most: 1_024 }),
    keepAliveMs,
    preload: list("preload"),
    ...pins(list("pin"), text("replicas")),
    // With --keep-alive never, what was asked for once is there anyway.
    prewarm: choice("prewarm", text("prewarm") ?? "on", ["on", "off"]) === "on" && keepAliveMs !== null,
    approveModels: on("approve-models"),
    engine: choice("engine", text("engine") ?? "auto", ["auto", "native", "addon"]),
    loras: list("lora").map(lora),
    hedge: hedgeSetting(text("hedge") ?? "p95"),
    stall: stallSetting(text("stall-ms") ?? "auto"),
    move: choice("move", text("move") ?? "on", ["on", "off"]),
    uploadLimit: byteRate("upload-limit", text("upload-limit") ?? "0"),
    showHardware: on("show-hardware"),
    traceEndpoint: traceEndpoint(text("trace-endpoint")),
    logLevel: choice("log-level", text("log-level") ?? "info", ["debug", "info", "warn", "error"]),
    logFormat: choice("log-format", text("log-format") ?? "text", ["text", "json"]),
    drainMs: natural("drain", text("drain") ?? "30", { least: 0, most: 3600 }) * 1000,
  });
}

/** What is set and by whom, and where the data are. Rejects as {@linkcode loadConfig} does where a file cannot be read. */
export async function settingsOf(
  { flags, env, file: instead }: ConfigSources,
): Promise<{ file: ConfigFile | null; values: SettingValues; root: string }> {
  const given = (name: string) => {
    const { [name]: flag } = flags;
    return typeof flag === "string" ? flag : env(environmentName(name)) || undefined;
  };
  const path = given("config");
  const named = path === undefined ? null : instead ?? await readConfigFile(resolve(path), SERVE_FLAGS);
  const data = named?.values.data;
  const root = await dataDirectoryOf(given("data") ?? (typeof data === "string" ? data : undefined), env);
  const file = named ?? instead ?? await findConfigFile(root, SERVE_FLAGS);
  const machine = given("preset") ?? file?.values.preset;
  const preset = typeof machine === "string" ? presetValues(machine) : {};
  return { file, root, values: new SettingValues({ flags, env, file, preset }) };
}

/** The data directory that a command uses: its `--data`, else the machine's default. */
export async function dataDirectoryOf(flag: string | undefined, env: ConfigSources["env"]): Promise<string> {
  if (flag === "") throw new ConfigError("Cannot use an empty --data: it is the folder where the node keeps its data");
  if (flag !== undefined) return resolve(flag);
  const arkServer = await writable(ARK_SERVER_DATA);
  return resolve(defaultDataDirectory({ os: Deno.build.os, env, writable: () => arkServer }));
}

async function writable(path: string): Promise<boolean> {
  try {
    const probe = await Deno.makeTempFile({ dir: path, prefix: ".ark-probe-" });
    await Deno.remove(probe);
    return true;
  } catch {
    return false;
  }
}

/** Models that this node itself keeps, or that some of the owner's nodes do. */
function pins(models: readonly string[], replicas: string | undefined): Pick<Config, "pinned" | "replicas"> {
  if (replicas === undefined) return { pinned: models, replicas: null };
  const count = natural("replicas", replicas, { least: 1, most: 64 });
  if (models.length === 0) throw new ConfigError("Cannot use --replicas without --pin MODEL: it says of which model");
  return { pinned: [], replicas: { models, count } };
}

function roles(text: string): RoleName[] {
  const asked = text.split(",").map((role) => role.trim()).filter(Boolean);
  for (const role of asked) {
    if (!(ROLE_NAMES as readonly string[]).includes(role)) {
      throw new ConfigError(`Cannot use --role ${role}: the roles are ${ROLE_NAMES.join(", ")}`);
    }
  }
  if (asked.length === 0) {
    throw new ConfigError(`Cannot use an empty --role: the roles are ${ROLE_NAMES.join(", ")}`);
  }
  return ROLE_NAMES.filter((role) => asked.includes(role));
}

function neighbour(text: string): PeerAddress {
  const parsed = address("peer", text, 8911);
  if (parsed.port === 0) throw new ConfigError(`Cannot use --peer ${text}: port 0 cannot be dialled`);
  return parsed;
}

/** A name as it may stand in a Host field: no port, since a proxy or a tunnel may have put another in front. */
function allowedHost(text: string): string {
  if (!/^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$/i.test(text)) {
    throw new ConfigError(`Cannot use --allow-host ${text}: it is a name such as ark.example, without a port`);
  }
  return text.toLowerCase();
}

/** An origin as browsers write it: scheme, host and port, and nothing behind. */
function allowedOrigin(text: string): string {
  const wanted = text.toLowerCase().replace(/\/$/, "");
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@*\s]+$/.test(wanted) || !isOrigin(wanted)) {
    throw new ConfigError(
      `Cannot use --allow-origin ${text}: it is a page's origin such as https://ui.example or http://localhost:3000, ` +
        "each one by itself",
    );
  }
  return wanted;
}

/** Browsers leave out a port that the scheme implies, so an origin that has it would never be met. */
function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  if (url === null) return false;
  return url.protocol === "http:" || url.protocol === "https:" ? url.origin === text : url.host !== "";
}
