/** Planted among the models, the servers and the GPU. */
import assert from "node:assert/strict";
import { readMemory } from "@ark/node/inference";
import { gpuFacts, gpuFindings } from "../../src/daemon/doctor/gpu.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { withDirectory } from "../support/temporary.ts";
import { fault, faults, fine, look, lookStopped, untilFault } from "./looking.ts";

const FILE = "arkling-9m-q4_0.gguf";

Deno.test("Fault 25: a model file is damaged, its folder is missing, and what is pinned is not here", () =>
  withDirectory(async (folder) => {
    const bytes = await Deno.readFile(`${FIXTURES}/${FILE}`);
    // Cut off, as a copy that was broken off leaves it.
    await Deno.writeFile(`${folder}/cut.gguf`, bytes.subarray(0, 20_000));
    await Deno.writeTextFile(`${folder}/page.gguf`, "<!doctype html><title>Not found</title>");
    const models = [folder, `${folder}/none`, FIXTURES];
    await using node = await TestNode.start({ name: "A", models, flags: { preload: ["llama9:8b"] } });
    await untilFault(async () => (await look(node)).filter(({ sentence }) => sentence.includes("cut.gguf")), "models");
    const found = await look(node);
    const said = faults(found, "models").map(({ sentence, fix }) => `${sentence} | ${fix}`);
    assert.equal(said.length, 3, said.join("\n"));
    assert.ok(said.some((text) => /page\.gguf cannot be used \| Fetch it again/.test(text)), said.join("\n"));
    assert.ok(said.some((text) => /cut\.gguf cannot be used \| Fetch it again/.test(text)), said.join("\n"));
    assert.ok(said.includes(
      `There is no folder ${folder}/none for models | ` +
        `Make it (mkdir -p '${folder}/none'), mount the disk that it is on, or correct --models`,
    ));
    const wanted = fault(found, "wanted-models");
    assert.equal(wanted.sentence, "There is no model llama9:8b here, which --pin or --preload names");
    assert.match(wanted.fix, /ark-node models pull llama9:8b/);
    await using well = await TestNode.start({ name: "B", models: [FIXTURES], flags: { preload: [MODEL] } });
    const fineThere = await look(well);
    fine(fineThere, "models");
    fine(fineThere, "wanted-models", { said: false });
  }));

Deno.test("Fault 26: a model is larger than the memory", () =>
  withDirectory(async (folder) => {
    const path = `${folder}/huge.gguf`;
    await Deno.copyFile(`${FIXTURES}/${FILE}`, path);
    const { totalBytes } = await readMemory();
    // A sparse file: as long as a model that is twice as large as the memory, and without its bytes.
    using file = await Deno.open(path, { write: true });
    await file.truncate(2 * (totalBytes ?? 64 * 2 ** 30));
    const flags = { models: [folder], gpu: "off" };
    const { level, sentence, fix } = fault(await lookStopped(`${folder}/data`, flags), "model-memory");
    assert.equal(level, "warning");
    assert.match(sentence, /^The model \S+ needs \d+\.\d GiB of memory, and there are \d+\.\d GiB$/);
    assert.match(fix, /smaller one/);
    fine(await lookStopped(`${folder}/data`, { models: [FIXTURES], gpu: "off" }), "model-memory", { said: false });
  }));

Deno.test("Fault 27: a server does not answer, another one refuses the key", async () => {
  await using server = await TestNode.start({ name: "S", models: [FIXTURES], flags: { "require-keys": true } });
  await using open = await TestNode.start({ name: "O", models: [FIXTURES] });
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const gone = `http://127.0.0.1:${free.addr.port}`;
  free.close();
  await using node = await TestNode.start({
    name: "A",
    flags: { upstream: [`box=${server.api}`, `off=${gone}`, `fine=${open.api}`] },
  });
  const found = await look(node);
  const [key, silent, ...more] = faults(found, "upstream").toSorted((a, b) => a.sentence < b.sentence ? -1 : 1);
  assert.deepEqual(more, []);
  assert.deepEqual([key?.sentence, key?.fix], [
    "The server box refuses this node's key",
    "Put its key into a file, and name that: --upstream-key-file box=FILE",
  ]);
  assert.equal(silent?.sentence, `The server off does not answer as it should (${gone})`);
  assert.match(silent?.fix ?? "", /^Start it, correct --upstream/);
  assert.ok(found.some(({ sentence }) => sentence === "The server fine answers, and has a model"));
});

Deno.test("What a server says about a key is told without the key", () =>
  withDirectory(async (data) => {
    const secret = "sk-secret-0123456789";
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => new Response(`I do not like ${request.headers.get("authorization")}`, { status: 500 }),
    );
    const url = `http://127.0.0.1:${server.addr.port}`;
    const found = await lookStopped(data, { upstream: [`box=${url}`] }, { ARK_UPSTREAM_KEY_BOX: secret });
    assert.match(fault(found, "upstream").why ?? "", /I do not like Bearer …$/);
    assert.ok(!JSON.stringify(found).includes(secret));
  }));

Deno.test("Fault 28: the registry does not answer", () =>
  withDirectory(async (data) => {
    const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const gone = `http://127.0.0.1:${free.addr.port}`;
    free.close();
    const { level, sentence, fix } = fault(await lookStopped(data, { registry: gone }), "registry");
    assert.deepEqual([level, sentence], ["warning", `The registry ${gone.slice(7)} does not answer`]);
    assert.match(fix, /correct --registry, or leave it out$/);
    await using registry = await TestNode.start({
      name: "R",
      role: "registry",
      flags: { "registry-listen": "127.0.0.1:0" },
    });
    const address = registry.daemon.registry;
    assert.ok(address !== null);
    fine(await lookStopped(data, { registry: `http://127.0.0.1:${address.port}` }), "registry");
  }));

Deno.test({
  name: "Fault 29: a GPU is asked for that is not here, or hidden by a variable",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withDirectory(async (data) => {
      const found = await lookStopped(data, { gpu: "metal" });
      const { level, sentence, fix } = fault(found, "gpu");
      assert.equal(level, "danger");
      assert.match(sentence, /--gpu metal/);
      assert.match(fix, /^Leave --gpu at auto/);
      fine(await lookStopped(data, { gpu: "off" }), "gpu");
      const nvidia = await Deno.stat("/proc/driver/nvidia/version").then(() => true, () => false);
      if (nvidia) {
        const hidden = fault(await lookStopped(data, { gpu: "cuda" }, { CUDA_VISIBLE_DEVICES: "-1" }), "gpu");
        assert.match(hidden.fix, /^Unset CUDA_VISIBLE_DEVICES/);
      } else {
        const none = fault(await lookStopped(data, { gpu: "cuda" }), "gpu");
        assert.deepEqual([none.level, none.sentence], [
          "danger",
          "The node is to compute with CUDA (--gpu cuda), and there is no NVIDIA GPU here",
        ]);
        // deno-lint-ignore no-console
        console.log("Without a GPU: what the doctor says of one that is broken is shown with files made up for it");
      }
    }),
});

/** Files as the kernel shows a machine with a GPU; made up, since machines with broken drivers are rare. */
async function machine(root: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries({ "/proc/self/limits": "", ...files })) {
    await Deno.mkdir(`${root}${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${root}${path}`, text);
  }
}

const CARD = "/sys/bus/pci/devices/0000:01:00.0";
const NVIDIA = { [`${CARD}/class`]: "0x030000\n", [`${CARD}/vendor`]: "0x10de\n" };
const DRIVER = { "/proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu\n" };
const DEVICES = { "/dev/nvidiactl": "", "/dev/nvidia0": "" };
const LIBRARY = { "/usr/lib64/libcuda.so.1": "" };
const BROKEN: [string, Record<string, string>, Record<string, string>, RegExp | null, RegExp][] = [
  ["no driver", NVIDIA, {}, /its driver is not loaded$/, /apt install nvidia-driver/],
  ["no devices", { ...NVIDIA, ...DRIVER }, {}, /machine has none of its devices$/, /nvidia-modprobe/],
  [
    "no devices in a container",
    { ...NVIDIA, ...DRIVER, "/.dockerenv": "" },
    {},
    /container has none of its devices$/,
    /--gpus all/,
  ],
  ["no library", { ...NVIDIA, ...DRIVER, ...DEVICES }, {}, /libcuda\.so\.1 is missing$/, /libcuda1/],
  [
    "a variable that hides it",
    { ...NVIDIA, ...DRIVER, ...DEVICES, ...LIBRARY },
    { CUDA_VISIBLE_DEVICES: "" },
    /hidden by the variable CUDA_VISIBLE_DEVICES$/,
    /^Unset/,
  ],
  ["nothing wrong", { ...NVIDIA, ...DRIVER, ...DEVICES, ...LIBRARY }, {}, null, /^/],
];
for (const [what, files, env, sentence, fix] of BROKEN) {
  Deno.test({
    name: `Fault 30 (made up files): an NVIDIA GPU with ${what}`,
    ignore: Deno.build.os !== "linux",
    fn: () =>
      withDirectory(async (root) => {
        await machine(root, files);
        const facts = await gpuFacts((name) => (env as Record<string, string>)[name], { root });
        const [found, ...more] = gpuFindings(facts, { asked: "auto", used: null });
        assert.deepEqual(more, []);
        if (sentence === null) {
          assert.deepEqual([found?.level, found?.sentence], [
            "ok",
            "There is an NVIDIA GPU, with its driver 550.54.14",
          ]);
          const [idle] = gpuFindings(facts, { asked: "auto", used: false });
          assert.match(idle?.sentence ?? "", /the engine does not use it$/);
          return;
        }
        assert.equal(found?.level, "warning");
        assert.match(found?.sentence ?? "", sentence);
        assert.match(found?.fix ?? "", fix);
      }),
  });
}
