import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import fc from "fast-check";
import { type Config, ConfigError, duration, isLoopback, loadConfig, parseFlags, SERVE_FLAGS } from "@ark/node/config";

/** Loads a configuration as `serve` does, with nothing of this machine's environment. */
function load(args: string[] = [], variables: Record<string, string> = {}): Promise<Config> {
  const all: Record<string, string> = { ARK_DATA: "/srv/ark", ...variables };
  return loadConfig({ flags: parseFlags(args, SERVE_FLAGS).flags, env: (name) => all[name] });
}

/** A folder that looks like Ollama's and like the one of Hugging Face's tools. */
const STORES = Deno.makeTempDirSync({ prefix: "ark-test-" });
Deno.mkdirSync(`${STORES}/manifests`);
Deno.writeTextFileSync(`${STORES}/token`, "hf_one\n");
Deno.test.afterAll(() => Deno.removeSync(STORES, { recursive: true }));

/** For each flag: a value for the flag, one for the environment, and what the configuration then says of each. */
const SETTINGS: Record<string, { of: (config: Config) => unknown; flag: [string, unknown]; env: [string, unknown] }> = {
  role: { of: ({ roles }) => roles, flag: ["gateway", ["gateway"]], env: ["compute", ["compute"]] },
  data: { of: ({ paths }) => paths.root, flag: ["/one", "/one"], env: ["/two", "/two"] },
  name: { of: ({ name }) => name, flag: ["One\n", "One"], env: ["Two", "Two"] },
  listen: {
    of: ({ listen }) => listen,
    flag: ["127.0.0.2:0", { hostname: "127.0.0.2", port: 0 }],
    env: ["[::1]:1", { hostname: "::1", port: 1 }],
  },
  "share-hours": {
    of: ({ shareHours }) => shareHours,
    flag: ["sat 22-7", [{ days: [6], from: 1_320, until: 420 }]],
    env: ["mon-tue 1:30-2", [{ days: [1, 2], from: 90, until: 120 }]],
  },
  yield: {
    of: ({ yieldTo: { uses } }) => uses,
    flag: ["off", []],
    env: ["cpu,input", ["cpu", "input"]],
  },
  "on-yield": { of: ({ onYield }) => onYield, flag: ["move", "move"], env: ["finish", "finish"] },
  "wake-seconds": { of: ({ wakeMs }) => wakeMs, flag: ["5", 5_000], env: ["0", 0] },
  registry: {
    of: ({ registry }) => registry.url?.href,
    flag: ["https://a.example", "https://a.example/"],
    env: ["http://127.0.0.1:1/x", "http://127.0.0.1:1/x"],
  },
  "registry-model": { of: ({ registry }) => registry.models, flag: ["a*", ["a*"]], env: ["b, c", ["b", "c"]] },
  "registry-listen": {
    of: ({ registry }) => registry.listen,
    flag: ["127.0.0.1:1", { hostname: "127.0.0.1", port: 1 }],
    env: ["[::1]", { hostname: "::1", port: 8912 }],
  },
  "ollama-port": { of: ({ ollamaPort }) => ollamaPort, flag: ["11434", 11_434], env: ["0", 0] },
  "allow-origin": {
    of: ({ allowOrigins }) => allowOrigins,
    flag: ["https://UI.example/", ["https://ui.example"]],
    env: ["http://localhost:3000,app://notes", ["http://localhost:3000", "app://notes"]],
  },
  "allow-host": {
    of: ({ allowHosts }) => allowHosts,
    flag: ["Ark.example", ["ark.example"]],
    env: ["a.local, b", ["a.local", "b"]],
  },
  "mesh-listen": {
    of: ({ meshListen }) => meshListen,
    flag: ["[::]:1", { hostname: "::", port: 1 }],
    env: ["10.0.0.1", { hostname: "10.0.0.1", port: 8911 }],
  },
  models: {
    of: ({ modelDirectories }) => modelDirectories,
    flag: ["/m1", ["/srv/ark/models", "/m1"]],
    env: ["/m2, /m3", ["/srv/ark/models", "/m2", "/m3"]],
  },
  content: {
    of: ({ contentDirectories }) => contentDirectories,
    flag: ["/c1", ["/c1"]],
    env: ["/c2, /c3", ["/c2", "/c3"]],
  },
  "ollama-models": {
    of: ({ modelStores }) => modelStores.ollama,
    flag: [STORES, STORES],
    env: ["off", null],
  },
  "hf-cache": { of: ({ modelStores }) => modelStores.huggingFace, flag: [STORES, STORES], env: ["off", null] },
  "ollama-registry": {
    of: ({ modelStores }) => modelStores.ollamaRegistry,
    flag: ["https://Models.example/", "https://models.example"],
    env: ["http://127.0.0.1:5000/x", "http://127.0.0.1:5000/x"],
  },
  "hf-token-file": {
    of: ({ modelStores }) => modelStores.huggingFaceToken,
    flag: [`${STORES}/token`, "hf_one"],
    env: [`${STORES}/token`, "hf_one"],
  },
  "seed-models": {
    of: ({ seeding }) => seeding.models,
    flag: ["llama*", ["llama*"]],
    env: ["a, b*", ["a", "b*"]],
  },
  "seed-hours": {
    of: ({ seeding }) => seeding.hours,
    flag: ["22-7", { from: 1_320, until: 420 }],
    env: ["6:15-24", { from: 375, until: 0 }],
  },
  alias: {
    of: ({ aliases }) => aliases,
    flag: ["GPT-4o=llama3.1:8b", [{ name: "gpt-4o", model: "llama3.1:8b" }]],
    env: ["a=b,c/d:e=f", [{ name: "a", model: "b" }, { name: "c/d:e", model: "f" }]],
  },
  peer: {
    of: ({ peers }) => peers,
    flag: ["a.local:1", [{ hostname: "a.local", port: 1 }]],
    env: ["b.local,c.local:2", [{ hostname: "b.local", port: 8911 }, { hostname: "c.local", port: 2 }]],
  },
  wireguard: { of: ({ wireguard }) => wireguard, flag: ["off", "off"], env: ["off", "off"] },
  upstream: {
    of: ({ upstreams }) => upstreams,
    flag: ["box=http://a:1", [{ name: "box", url: "http://a:1/", key: null }]],
    env: ["http://b:2, http://c:3", [
      { name: "b:2", url: "http://b:2/", key: null },
      { name: "c:3", url: "http://c:3/", key: null },
    ]],
  },
  gpu: { of: ({ gpu }) => gpu, flag: ["off", "off"], env: ["vulkan", "vulkan"] },
  threads: { of: ({ threads }) => threads, flag: ["1", 1], env: ["2", 2] },
  context: { of: ({ contextSize }) => contextSize, flag: ["64", 64], env: ["4096", 4096] },
  "vram-reserve": { of: ({ vramReserve }) => vramReserve, flag: ["2GiB", 2 ** 31], env: ["500M", 5e8] },
  "max-loaded": { of: ({ maxLoaded }) => maxLoaded, flag: ["1", 1], env: ["3", 3] },
  slots: { of: ({ slots }) => slots, flag: ["1", 1], env: ["8", 8] },
  "max-queued": { of: ({ maxQueued }) => maxQueued, flag: ["1", 1], env: ["1024", 1_024] },
  "keep-alive": { of: ({ keepAliveMs }) => keepAliveMs, flag: ["never", null], env: ["30s", 30_000] },
  preload: { of: ({ preload }) => preload, flag: ["llama:8b", ["llama:8b"]], env: ["a, b", ["a", "b"]] },
  prewarm: { of: ({ prewarm }) => prewarm, flag: ["off", false], env: ["off", false] },
  pin: { of: ({ pinned }) => pinned, flag: ["llama:8b", ["llama:8b"]], env: ["a,b", ["a", "b"]] },
  engine: { of: ({ engine }) => engine, flag: ["native", "native"], env: ["addon", "addon"] },
  lora: {
    of: ({ loras }) => loras,
    flag: ["style=/l/a=b.gguf", [{ name: "style", path: "/l/a=b.gguf" }]],
    env: ["x=/x.gguf,y=/y.gguf", [{ name: "x", path: "/x.gguf" }, { name: "y", path: "/y.gguf" }]],
  },
  "trace-endpoint": {
    of: ({ traceEndpoint }) => traceEndpoint,
    flag: ["http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"],
    env: ["https://traces.example/otlp", "https://traces.example/otlp"],
  },
  "log-level": { of: ({ logLevel }) => logLevel, flag: ["debug", "debug"], env: ["warn", "warn"] },
  "log-format": { of: ({ logFormat }) => logFormat, flag: ["json", "json"], env: ["text", "text"] },
  hedge: { of: ({ hedge }) => hedge, flag: ["off", "off"], env: ["race:3", { race: 3 }] },
  move: { of: ({ move }) => move, flag: ["off", "off"], env: ["off", "off"] },
  "stall-ms": { of: ({ stall }) => stall, flag: ["50", 50], env: ["off", "off"] },
  "upload-limit": { of: ({ uploadLimit }) => uploadLimit, flag: ["100mbit", 12_500_000], env: ["20MB/s", 20_000_000] },
  drain: { of: ({ drainMs }) => drainMs, flag: ["0", 0], env: ["5", 5_000] },
};

for (const [name, { of, flag, env }] of Object.entries(SETTINGS)) {
  Deno.test(`loadConfig() takes --${name}, else its environment variable, else a default`, async () => {
    const variable = `ARK_${name.toUpperCase().replaceAll("-", "_")}`;
    const base = await load();
    assert.deepEqual(of(await load([`--${name}=${flag[0]}`], { [variable]: env[0] })), flag[1]);
    assert.deepEqual(of(await load([], { [variable]: env[0] })), env[1]);
    if (name !== "data") assert.deepEqual(of(await load([], { [variable]: "" })), of(base));
    assert.notDeepEqual(of(base), flag[1]);
  });
}

Deno.test("loadConfig() takes a rate for --upload-limit in bytes or in bits, and 0 for none", async () => {
  const rates: [string, number | null][] = [
    ["0", null],
    ["0mbit", null],
    ["16000", 16_000],
    ["20MB", 20_000_000],
    ["20 mb/s", 20_000_000],
    ["1.5MiB", 1_572_864],
    ["1gbit", 125_000_000],
  ];
  for (const [text, rate] of rates) {
    assert.equal((await load([`--upload-limit=${text}`])).uploadLimit, rate, text);
  }
  for (const text of ["fast", "-1", "20MB/h", "15999", "1e9", "100bit", "20 MBit/min"]) {
    await assert.rejects(load([`--upload-limit=${text}`]), {
      message: /--upload-limit .*rate such as 20MB or 100mbit/,
    });
  }
});

Deno.test("loadConfig() knows every flag of the help", () => {
  const switches = [
    "accept-copies",
    "approve-models",
    "auto-rotate",
    "no-mdns",
    "require-keys",
    "share-upstreams",
    "show-hardware",
  ];
  // They say nothing without an upstream, or a pin: see the tests of upstreams(), and the one below.
  const others = ["config", "preset", "registry-endpoint", "tls-cert", "tls-key", "upstream-key-file", "replicas"];
  assert.deepEqual(Object.keys(SERVE_FLAGS).sort(), [...Object.keys(SETTINGS), ...switches, ...others].sort());
});

Deno.test("loadConfig() has these defaults", async () => {
  const { paths, name, ...config } = await load();
  assert.equal(paths.root, "/srv/ark");
  assert.ok(name.length > 0);
  assert.deepEqual(config, {
    file: null,
    registry: {
      url: null,
      endpoints: [],
      models: [],
      listen: { hostname: "127.0.0.1", port: 8912 },
      tls: null,
      database: null,
    },
    roles: ["compute", "gateway"],
    listen: { hostname: "127.0.0.1", port: 8910 },
    requireKeys: false,
    allowHosts: [],
    allowOrigins: [],
    ollamaPort: null,
    meshListen: { hostname: "0.0.0.0", port: 8911 },
    modelDirectories: ["/srv/ark/models"],
    contentDirectories: [],
    modelStores: {
      ollama: null,
      huggingFace: null,
      huggingFaceEndpoint: "https://huggingface.co",
      huggingFaceToken: null,
      ollamaRegistry: null,
    },
    acceptCopies: false,
    shareHours: null,
    yieldTo: { uses: ["gpu", "game", "cpu"], cpuAtDesktopOnly: true },
    onYield: "finish",
    wakeMs: 60_000,
    seeding: { models: null, hours: null },
    aliases: [],
    peers: [],
    mdns: true,
    autoRotate: false,
    wireguard: "auto",
    upstreams: [],
    shareUpstreams: false,
    gpu: "auto",
    threads: null,
    contextSize: 8192,
    vramReserve: null,
    maxLoaded: 4,
    slots: null,
    maxQueued: 64,
    keepAliveMs: 300_000,
    preload: [],
    pinned: [],
    replicas: null,
    prewarm: true,
    approveModels: false,
    engine: "auto",
    loras: [],
    uploadLimit: null,
    showHardware: false,
    traceEndpoint: null,
    logLevel: "info",
    logFormat: "text",
    drainMs: 30_000,
    hedge: "p95",
    stall: "auto",
    move: "on",
  });
});

Deno.test("loadConfig() takes a pin as a wish among the owner's nodes where it is told how many", async () => {
  const wish = await load(["--pin", "a", "--pin", "b", "--replicas", "2"]);
  assert.deepEqual([wish.pinned, wish.replicas], [[], { models: ["a", "b"], count: 2 }]);
  await assert.rejects(load(["--replicas", "2"]), { message: /--pin MODEL/ });
  await assert.rejects(load(["--pin", "a", "--replicas", "0"]), { message: /--replicas/ });
  // Where models never leave there is nothing to load early that was there once.
  assert.ok(!(await load(["--keep-alive", "never"])).prewarm);
  await assert.rejects(load(["--prewarm", "maybe"]), { message: /--prewarm/ });
});

Deno.test("loadConfig() switches mDNS off by flag or variable, and is told by no other word", async () => {
  assert.ok(!(await load(["--no-mdns"])).mdns);
  assert.ok(!(await load(["--no-mdns"], { ARK_NO_MDNS: "0" })).mdns);
  for (const on of ["1", "true", "YES", "on"]) assert.ok(!(await load([], { ARK_NO_MDNS: on })).mdns, on);
  for (const off of ["0", "false", "No", "off", ""]) {
    assert.ok((await load([], { ARK_NO_MDNS: off })).mdns, off);
  }
  await assert.rejects(load([], { ARK_NO_MDNS: "maybe" }), { name: "ConfigError", message: /--no-mdns/ });
});

Deno.test("loadConfig() lets peers change their keys by themselves only where the owner says so", async () => {
  assert.ok((await load(["--auto-rotate"])).autoRotate);
  assert.ok((await load([], { ARK_AUTO_ROTATE: "1" })).autoRotate);
  assert.ok(!(await load([], { ARK_AUTO_ROTATE: "0" })).autoRotate);
  await assert.rejects(load([], { ARK_AUTO_ROTATE: "sure" }), { name: "ConfigError", message: /--auto-rotate/ });
});

Deno.test("loadConfig() is frozen", async () => {
  assert.ok(Object.isFrozen(await load()));
});

Deno.test("loadConfig() keeps the order of roles and names each once", async () => {
  assert.deepEqual((await load(["--role=gateway, compute ,gateway"])).roles, ["compute", "gateway"]);
});

Deno.test("loadConfig() takes folders and peers as often as they are given", async () => {
  const config = await load(["--models=/a", "--models", "/b,c", "--peer=x:1", "--peer=y"]);
  assert.deepEqual(config.modelDirectories, ["/srv/ark/models", "/a", "/b,c"]);
  assert.deepEqual(config.peers.map(({ hostname }) => hostname), ["x", "y"]);
});

for (
  const arg of [
    "--role=king",
    "--role=",
    "--role=,",
    "--data=",
    "--listen=",
    "--listen=localhost:99999",
    "--listen=http://127.0.0.1",
    "--allow-origin=*",
    "--allow-origin=null",
    "--allow-origin=ui.example",
    "--allow-origin=https://ui.example/app",
    "--allow-origin=https://*.example",
    "--allow-origin=https://ui.example:443",
    "--allow-origin=https://user@ui.example",
    "--allow-host=ark.example:8910",
    "--allow-host=*",
    "--allow-host=http://ark.example",
    "--mesh-listen=::1",
    "--mesh-listen=a b",
    "--peer=host:0",
    "--peer=host:x",
    "--peer=",
    "--wireguard=on",
    "--gpu=nvidia",
    "--gpu=AUTO",
    "--threads=0",
    "--threads=1.5",
    "--threads=-1",
    `--threads=${availableParallelism() * 2 + 1}`,
    "--threads=all",
    "--context=63",
    "--context=1e4",
    "--context=",
    "--vram-reserve=2 pints",
    "--vram-reserve=-1",
    "--vram-reserve=99999999999GiB",
    "--vram-reserve=",
    "--max-loaded=0",
    "--max-loaded=65",
    "--slots=0",
    "--slots=65",
    "--max-queued=0",
    "--keep-alive=5",
    "--keep-alive=-1",
    "--keep-alive=5 weeks",
    "--keep-alive=99999999d",
    "--engine=best",
    "--lora=style",
    "--lora==/a.gguf",
    "--lora=a b=/a.gguf",
    "--log-level=loud",
    "--log-format=xml",
    "--drain=3601",
    "--hedge=always",
    "--hedge=race:1",
    "--hedge=race:6",
    "--hedge=race:",
    "--stall-ms=9",
    "--stall-ms=1s",
    "--ollama-models=/nowhere",
    "--ollama-models=src",
    "--ollama-models=",
    "--hf-cache=/nowhere",
    "--ollama-registry=registry.ollama.ai",
    "--ollama-registry=file:///etc",
    "--ollama-registry=https://me@models.example",
    "--alias=a",
    "--alias==b",
    "--alias=a=",
    "--alias=../a=b",
    "--alias=a b=c",
    "--drain= 5",
  ]
) {
  Deno.test(`loadConfig() refuses ${arg} with one sentence that names the flag`, async () => {
    const flag = arg.slice(0, arg.indexOf("="));
    await assert.rejects(load([arg]), (error) => {
      assert.ok(error instanceof ConfigError, String(error));
      assert.ok(error.message.includes(flag), error.message);
      assert.match(error.message, /^[A-Z][^\n]*[^.!\n]$/);
      return true;
    });
    if (arg.endsWith("=")) return;
    // The same wrong value from the environment is the same fault.
    const variable = `ARK_${flag.slice(2).toUpperCase().replaceAll("-", "_")}`;
    if (flag !== "--drain") {
      await assert.rejects(load([], { [variable]: arg.slice(flag.length + 1) }), { name: "ConfigError" });
    }
  });
}

Deno.test("loadConfig() lets the owner's API leave the loopback, and then every app needs a key", async () => {
  for (const beyond of ["0.0.0.0:8910", "[::]:8910", "192.168.1.2", "ark.local:1", "127.0.0.1.example.com"]) {
    assert.ok((await load(["--listen", beyond])).requireKeys, beyond);
  }
  for (const own of ["127.0.0.1", "localhost:1", "[::1]:8910"]) {
    assert.ok(!(await load(["--listen", own])).requireKeys, own);
    assert.ok((await load(["--listen", own, "--require-keys"])).requireKeys, own);
    assert.ok((await load(["--listen", own], { ARK_REQUIRE_KEYS: "1" })).requireKeys, own);
  }
});

Deno.test("isLoopback() knows this machine's own addresses", () => {
  for (const own of ["127.0.0.1", "127.1.2.3", "localhost", "::1"]) assert.ok(isLoopback(own), own);
  for (const other of ["0.0.0.0", "::", "1270.0.0.1", "127.0.0.1.evil.example", "localhost.evil.example", ""]) {
    assert.ok(!isLoopback(other), other);
  }
});

Deno.test("A registry is reached without encryption on this machine alone, not where a name begins as its addresses do", async () => {
  for (const own of ["http://127.0.0.1:1", "http://localhost", "http://[::1]:8912"]) {
    assert.equal((await load([`--registry=${own}`])).registry.url?.href, new URL(own).href);
  }
  const registry = (listen: string) => load(["--role=registry", `--registry-listen=${listen}`]);
  for (const own of ["127.0.0.1", "LOCALHOST:1", "[::1]:8912"]) assert.equal((await registry(own)).registry.tls, null);
  for (const other of ["127.evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "registry.example"]) {
    await assert.rejects(load([`--registry=http://${other}`]), /Cannot use --registry /, other);
    await assert.rejects(registry(other), /without --tls-cert and --tls-key/, other);
  }
});

Deno.test("--vram-reserve takes sizes in any usual spelling", async () => {
  const units: [string, number][] = [["", 1], ["k", 1e3], ["M", 1e6], ["GB", 1e9], ["TB", 1e12]];
  const binary: [string, number][] = [["Ki", 2 ** 10], ["MiB", 2 ** 20], ["gib", 2 ** 30], ["TiB", 2 ** 40], ["B", 1]];
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 4096 }),
      fc.constantFrom(...units, ...binary),
      fc.constantFrom("", " "),
      async (amount, [unit, factor], space) => {
        assert.equal((await load([`--vram-reserve=${amount}${space}${unit}`])).vramReserve, amount * factor);
      },
    ),
    { numRuns: 60 },
  );
  assert.equal((await load(["--vram-reserve=1.5GiB"])).vramReserve, 1.5 * 2 ** 30);
});

Deno.test("duration() reads minutes, hours, days and weeks, and never", () => {
  const units: [string, number][] = [["m", 60], ["h", 3_600], ["d", 86_400], ["w", 604_800]];
  fc.assert(fc.property(fc.integer({ min: 1, max: 5_000 }), fc.constantFrom(...units), (amount, [unit, seconds]) => {
    assert.equal(duration("expires", `${amount}${unit}`), amount * seconds * 1_000);
  }));
  assert.equal(duration("expires", "never"), null);
});

Deno.test("duration() refuses everything else with a sentence that names the flag, and is never beyond a date", () => {
  for (const bad of ["", "0d", "30", "d", "-1d", "1.5d", "30D", "1y", "99999999999999w", "Never"]) {
    assert.throws(() => duration("expires", bad), { name: "ConfigError", message: /--expires/ }, bad);
  }
  fc.assert(fc.property(fc.stringMatching(/^\d{1,20}[mhdw]$/), (text) => {
    try {
      const ms = duration("expires", text);
      assert.ok(ms !== null && !Number.isNaN(new Date(Date.now() + ms).getTime()));
    } catch (error) {
      assert.ok(error instanceof ConfigError);
    }
  }));
});
