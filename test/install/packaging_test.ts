/** The files of packaging/: each flag, variable, port, path and probe in them is the program's own. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { fileURLToPath } from "node:url";
import { parseFlags, SERVE_FLAGS } from "@ark/node/config";
import { runMain } from "../cli/run_main.ts";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { finished, NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MESH = 8911;
const API = 8910;
/** Variables that are not a flag's. */
const OTHER_VARIABLES = new Set(["ARK_DATA", "HF_TOKEN"]);

interface Container {
  name: string;
  image: string;
  args: string[];
  env: { name: string; value?: string }[];
  ports: { name: string; containerPort: number }[];
  securityContext: Record<string, unknown>;
  volumeMounts: { name: string; mountPath: string }[];
  [probe: `${string}Probe`]: Probe;
}

interface Probe {
  httpGet?: { path: string; port: string; httpHeaders: { name: string; value: string }[] };
  tcpSocket?: { port: string };
}

interface Manifest {
  kind: string;
  metadata: { name: string };
  // deno-lint-ignore no-explicit-any
  spec: any;
}

const { code: noYaml } = await finished("python3", { args: ["-c", "import yaml"] }).catch(() => ({ code: 1 }));
// deno-lint-ignore no-console
if (noYaml !== 0) {
  console.log("packaging_test: tests of YAML skipped, there is no python3 with yaml (package python3-yaml)");
}

/** The documents of a YAML file, read by a parser that the node does not have. */
async function documents<T>(path: string): Promise<T[]> {
  const script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
  const { code, stdout, stderr } = await finished("python3", { args: ["-c", script, `${ROOT}packaging/${path}`] });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

function yamlTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: noYaml !== 0, fn });
}

/** Asserts that the program takes these words of a command line, and returns them. */
function flagsOf(args: string[]): Record<string, unknown> {
  const { flags, words } = parseFlags(args, SERVE_FLAGS);
  assert.deepEqual(words, []);
  return flags;
}

/** Asserts that an image is one and the same tomorrow. */
function assertPinned(image: string): void {
  assert.match(image, /:[\w.-]*\d+\.\d+[\w.-]*$|:\w+-20\d{6}-slim$|@sha256:/, image);
  assert.doesNotMatch(image, /latest|stable$(?<!\d-stable)/, image);
}

function assertVariables(names: string[]): void {
  for (const name of names) {
    const flag = name.replace(/^ARK_/, "").toLowerCase().replaceAll("_", "-");
    assert.ok(OTHER_VARIABLES.has(name) || (name.startsWith("ARK_") && flag in SERVE_FLAGS), name);
  }
}

async function manifests(): Promise<{ all: Manifest[]; container(name: string): Container }> {
  const all = await documents<Manifest>("kubernetes/ark.yaml");
  return {
    all,
    container: (name) =>
      all.find(({ kind, metadata }) => kind === "StatefulSet" && metadata.name === name)?.spec.template.spec
        .containers[0],
  };
}

yamlTest(
  "compose.yaml: the node's flags are its own, the others reach it where it listens, and images are pinned",
  async () => {
    // deno-lint-ignore no-explicit-any
    const [compose] = await documents<{ services: Record<string, any>; volumes: Record<string, unknown> }>(
      "compose.yaml",
    );
    assert.ok(compose !== undefined);
    const { ark, "open-webui": web, litellm } = compose.services;
    const flags = flagsOf(ark.command);
    // Nothing moves the API away from the loopback, where it asks nobody for a key.
    assert.deepEqual([flags.listen, flags["mesh-listen"], flags["require-keys"]], [undefined, undefined, undefined]);
    for (const { image, network_mode } of [ark, web, litellm]) {
      assertPinned(image);
      assert.equal(network_mode, "host");
    }
    assert.equal(web.environment.OPENAI_API_BASE_URL, `http://127.0.0.1:${API}/v1`);
    const [lite] = await documents<{ model_list: { litellm_params: Record<string, string> }[] }>("litellm.yaml");
    assert.equal(lite?.model_list[0]?.litellm_params.api_base, `http://127.0.0.1:${API}/v1`);
    assert.ok(
      litellm.volumes.includes("./litellm.yaml:/app/config.yaml:ro") && litellm.command.includes("/app/config.yaml"),
    );
    // Each named volume is one, and /data is where the image keeps its data.
    const mounts: string[] = Object.values(compose.services).flatMap(({ volumes }) => volumes);
    for (const [name = ""] of mounts.map((mount) => mount.split(":"))) {
      assert.ok(/^[./$]/.test(name) || name in compose.volumes, name);
    }
    assert.ok(ark.volumes.includes("ark:/data"));
    const text = await Deno.readTextFile(`${ROOT}packaging/compose.yaml`);
    const example = await Deno.readTextFile(`${ROOT}packaging/compose.env`);
    for (const [, name] of text.matchAll(/\$\{(\w+):/g)) assert.match(example, new RegExp(`^${name}=`, "m"));
  },
);

yamlTest("compose.yaml: what the node is started with works, and answers as Open WebUI and LiteLLM ask", async () => {
  const [compose] = await documents<{ services: { ark: { command: string[] } } }>("compose.yaml");
  const args = (compose?.services.ark.command ?? []).map((word) => word === "/models" ? FIXTURES : word);
  await using node = await NodeProcess.start({ name: "nas", args: [...args, "--no-mdns"] });
  const headers = { authorization: "Bearer none", "content-type": "application/json" };
  const listed = await fetch(`${node.ready.api}/v1/models`, { headers });
  assert.ok((await listed.json()).data.some(({ id }: { id: string }) => id === MODEL));
  const body = JSON.stringify({ model: MODEL, max_tokens: 2, messages: [{ role: "user", content: "Hello" }] });
  const answer = await fetch(`${node.ready.api}/v1/chat/completions`, { method: "POST", headers, body });
  assert.equal(answer.status, 200, await answer.text());
});

yamlTest("kubernetes/ark.yaml: flags, variables, ports, names and probes fit together and to the program", async () => {
  const { all, container } = await manifests();
  for (const { kind, metadata: { name }, spec } of all) {
    if (kind !== "StatefulSet") continue;
    const own = container(name);
    const flags = flagsOf(own.args);
    assertVariables(own.env.map((variable) => variable.name));
    assertPinned(own.image);
    const mesh = own.ports.find((port) => port.name === "mesh");
    const api = own.ports.find((port) => port.name === "api");
    if (mesh !== undefined) assert.equal(mesh.containerPort, MESH);
    if (api !== undefined) assert.equal(flags.listen, `0.0.0.0:${api.containerPort}`);
    // Each probe asks a port that the pod names; and by HTTP, under a name that the API answers to.
    for (const probe of [own.startupProbe, own.readinessProbe, own.livenessProbe]) {
      const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port;
      assert.ok(own.ports.some((one) => one.name === port), `${name}: ${port}`);
      const host = probe?.httpGet?.httpHeaders.find((header) => header.name === "Host")?.value ?? "";
      if (probe?.httpGet !== undefined) assert.ok((flags["allow-host"] as string[]).includes(host));
    }
    const { spec: pod } = spec.template;
    const volumes = [...pod.volumes, ...spec.volumeClaimTemplates.map(({ metadata }: Manifest) => metadata)];
    for (const mount of own.volumeMounts) assert.ok(volumes.some((volume) => volume.name === mount.name), mount.name);
    // The data are a folder in the volume, and running answers end before the pod is killed.
    const data = own.env.find((variable) => variable.name === "ARK_DATA")?.value ?? "";
    assert.ok(own.volumeMounts.some(({ mountPath }) => data.startsWith(`${mountPath}/`)), data);
    const drain = flags.preset === "rented-gpu" ? 120 : 30;
    assert.ok(pod.terminationGracePeriodSeconds > drain);
    // The user is the image's, and the pod may do what the strictest policy of Kubernetes allows.
    assert.match(
      await Deno.readTextFile(`${ROOT}Dockerfile`),
      new RegExp(`^USER ${pod.securityContext.runAsUser}:`, "m"),
    );
    assert.deepEqual(own.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  }
  // Services choose pods that there are, and the gateway looks for each GPU pod by its lasting name.
  const sets = all.filter(({ kind }) => kind === "StatefulSet");
  for (const { spec, metadata } of all.filter(({ kind }) => kind === "Service")) {
    const set = sets.find((one) => one.spec.template.metadata.labels.app === spec.selector.app);
    assert.equal(set?.spec.serviceName, metadata.name);
    for (const { targetPort } of spec.ports) {
      assert.ok(container(set?.metadata.name ?? "").ports.some(({ name }) => name === targetPort), targetPort);
    }
  }
  const gpus = sets.find(({ metadata }) => metadata.name === "ark-gpu");
  const peers = Array.from({ length: gpus?.spec.replicas }, (_, at) => `ark-gpu-${at}.ark-gpu:${MESH}`);
  assert.deepEqual(flagsOf(container("ark-gateway").args).peer, peers);
  const policies = all.filter(({ kind }) => kind === "NetworkPolicy").map(({ metadata }) => metadata.name);
  assert.deepEqual(policies.sort(), ["ark-gateway", "ark-gpu", "ark-nobody"]);
});

yamlTest(
  "kubernetes: join.sh has a GPU node let the gateway in, a program asks with its key, and probes answer",
  () =>
    withDirectory(async (directory) => {
      const { container } = await manifests();
      const gpuArgs = container("ark-gpu").args
        .map((word) => ({ "/models": FIXTURES, cuda: "off" })[word] ?? word);
      await using gpu = await NodeProcess.start({ name: "ark-gpu-0", args: gpuArgs });
      const gatewayArgs = container("ark-gateway").args
        .map((word) => word.replace(/:8910$/, ":0").replace("ark-gpu-0.ark-gpu:8911", gpu.ready.mesh))
        .filter((word) => !word.includes("ark-gpu-1"));
      await using gateway = await NodeProcess.start({ name: "gateway", args: gatewayArgs });

      // In the place of kubectl, what runs the same words where the pod's node is.
      const log = `${directory}/log`;
      const kubectl = `#!/bin/sh
echo "$*" >>'${log}'
case $* in
*' get pods '*) printf ark-gpu-0 ;;
*' exec ark-gpu-0 -- ark-node '*) data='${gpu.ready.data}' ;;
*' exec ark-gateway-0 -- ark-node '*) data='${gateway.ready.data}' ;;
esac
[ -z "$data" ] && exit
shift 5
for word; do
  shift
  [ "$word" != ark-gpu-0.ark-gpu:8911 ] || word='${gpu.ready.mesh}'
  set -- "$@" "$word"
done
exec '${Deno.execPath()}' run -A '${ROOT}main.ts' "$@" --data "$data"
`;
      await Deno.writeTextFile(`${directory}/kubectl`, kubectl, { mode: 0o755 });
      const join = () =>
        finished("/bin/sh", {
          args: [`${ROOT}packaging/kubernetes/join.sh`],
          env: { PATH: `${directory}:/usr/bin:/bin`, HOME: directory },
        });
      const joined = await join();
      assert.equal(joined.code, 0, joined.stderr);
      const again = await join();
      assert.equal(again.code, 0, again.stderr);
      const calls = (await Deno.readTextFile(log)).split("\n");
      assert.equal(calls.filter((call) => call.includes(" invite ")).length, 1);
      assert.ok(calls.every((call) => call === "" || call.startsWith("--namespace ark ")));

      const { key } = await gateway.json<{ key: string }>("keys", "create", "my-app");
      const api = `http://127.0.0.1:${new URL(gateway.ready.api).port}`;
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
      await until(async () => {
        const { models } = await gateway.json<{ models: { id: string }[] }>("models");
        return models.some(({ id }) => id === MODEL);
      });
      const body = JSON.stringify({ model: MODEL, max_tokens: 2, messages: [{ role: "user", content: "Hello" }] });
      const answer = await fetch(`${api}/v1/chat/completions`, { method: "POST", headers, body });
      assert.equal(answer.status, 200, await answer.text());
      assert.equal(answer.headers.get("x-ark-node"), "ark-gpu-0");
      const keyless = await fetch(`${api}/v1/models`);
      await keyless.body?.cancel();
      assert.equal(keyless.status, 401);

      const { readinessProbe } = container("ark-gateway");
      assert.ok(readinessProbe?.httpGet !== undefined);
      const { path, httpHeaders: [host] } = readinessProbe.httpGet;
      assert.equal(await statusOf(`${api}${path}`, host?.value ?? ""), 200);
      // Without the field, the kubelet would ask under the pod's address.
      assert.equal(await statusOf(`${api}${path}`, "10.1.2.3:8910"), 403);
      const probe = await Deno.connect({ hostname: "127.0.0.1", port: Number(gpu.ready.mesh.split(":").at(-1)) });
      probe.close();
    }),
);

Deno.test("Dockerfile: images are pinned, what it copies is there, ports and health check are the program's", async () => {
  const text = await Deno.readTextFile(`${ROOT}Dockerfile`);
  const [, base = ""] = /^ARG BASE=(.*)$/m.exec(text) ?? [];
  assertPinned(base);
  for (const [, image = ""] of text.matchAll(/^FROM (\S+)/gm)) if (image !== "$BASE") assertPinned(image);
  const kept = (await Deno.readTextFile(`${ROOT}.dockerignore`)).split("\n").filter((line) => line.startsWith("!"));
  for (const line of kept) await Deno.stat(`${ROOT}${line.slice(1)}`);
  for (const [, files = ""] of text.matchAll(/^COPY (?!--from)(.*) \.\/?$/gm)) {
    for (const file of files.split(" ")) await Deno.stat(`${ROOT}${file}`);
  }
  assert.match(text, new RegExp(`^EXPOSE ${API} ${MESH}$`, "m"));
  const [, health = "[]"] = /^HEALTHCHECK .* CMD (\[.*\])$/m.exec(text) ?? [];
  const [program, ...words] = JSON.parse(health);
  assert.equal(program, "ark-node");
  assert.equal((await runMain([...words, "--data", "/nonexistent"])).code, 3);
  const { stdout } = await finished(`${ROOT}compile.sh`, { args: ["--help"] });
  for (const [, flag = ""] of text.matchAll(/compile\.sh.*?(--\w+)/g)) assert.ok(stdout.includes(flag), flag);
  const [, deno] = /npm install --global deno@(\S+)/.exec(text) ?? [];
  assert.ok(stdout.includes(`Needs deno ${deno}`));
});

Deno.test("windows.md: commands, flags and ports are the program's", async () => {
  const text = await Deno.readTextFile(`${ROOT}packaging/windows.md`);
  const [, args = ""] = /-Argument "serve (.*)"\n/.exec(text) ?? [];
  assert.equal(flagsOf(args.replaceAll('`"', "").split(" ")).preset, "gaming-pc");
  assert.deepEqual([...text.matchAll(/-LocalPort (\d+)/g)].map(([, port]) => Number(port)), [MESH, 5353]);
  const { stdout } = await finished(`${ROOT}compile.sh`, { args: ["--help"] });
  for (const [, words = ""] of text.matchAll(/^\.\/compile\.sh (.*?)(?: {2,}|$)/gm)) {
    for (const word of words.split(" ")) assert.ok(stdout.includes(word), word);
  }
  for (const [, command = ""] of text.matchAll(/`ark-node ((?:[a-z]+ ?)+)/g)) {
    assert.equal((await runMain([...command.trim().split(" "), "--help"])).code, 0, command);
  }
});

Deno.test("Shell scripts in packaging/ are in order for shellcheck", async () => {
  const { code, stdout } = await finished("shellcheck", { args: [`${ROOT}packaging/kubernetes/join.sh`] })
    .catch(() => ({ code: 0, stdout: "" }));
  assert.equal(code, 0, stdout);
});
