/** The files of packaging/: each flag, variable, port, path and probe in them is the program's own. */
import assert from "node:assert/strict";
import { runMain } from "../cli/run_main.ts";
import { FIXTURES, MODEL } from "../mesh/test_node.ts";
import { finished, NodeProcess } from "../support/node_process.ts";
import { API, assertPinned, documents, flagsOf, MESH, ROOT, yamlTest } from "./packaging_files.ts";

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
  // An owner who has set nothing in a file hears of no trouble.
  assert.doesNotMatch(node.log, / (ERROR|WARN) /);
});

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
