/** packaging/kubernetes: the manifest fits together and to the program, and a fleet that is started so works. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { until } from "../inference/local_fixture.ts";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { cleanEnvironment, finished, NodeProcess } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { assertPinned, assertVariables, documents, flagsOf, MESH, ROOT, yamlTest } from "./packaging_files.ts";

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

async function manifests(): Promise<{ all: Manifest[]; container(name: string): Container }> {
  const all = await documents<Manifest>("kubernetes/ark.yaml");
  return {
    all,
    container: (name) =>
      all.find(({ kind, metadata }) => kind === "StatefulSet" && metadata.name === name)?.spec.template.spec
        .containers[0],
  };
}

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
shift 6
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
          env: { ...cleanEnvironment(), PATH: `${directory}:/usr/bin:/bin` },
        });
      const joined = await join();
      assert.equal(joined.code, 0, joined.stderr);
      const again = await join();
      assert.equal(again.code, 0, again.stderr);
      const calls = (await Deno.readTextFile(log)).split("\n");
      assert.equal(calls.filter((call) => call.includes(" invite ")).length, 1);
      assert.ok(calls.every((call) => call === "" || call.startsWith("--namespace ark ")));

      const { text: key } = await gateway.json<{ text: string }>("keys", "create", "my-app");
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

/** The status of a GET under another name than the address. */
function statusOf(url: string, host: string): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  request(url, { headers: { host }, agent: false }, (response) => {
    response.resume().on("end", () => resolve(response.statusCode));
  }).on("error", reject).end();
  return promise;
}
