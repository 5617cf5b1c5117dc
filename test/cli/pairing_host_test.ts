/** Pairing at the terminals where the nodes run, and with a node that was found nearby. */
import assert from "node:assert/strict";
import { hostPairings } from "../../src/cli/pairing_host.ts";
import { TerminalLines } from "../../src/cli/terminal_lines.ts";
import { Output } from "../../src/cli/output.ts";
import { until } from "../inference/local_fixture.ts";
import { begin, pairingAt } from "../mesh/meeting.ts";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";
import { cleanEnvironment, finished, FROM_SOURCE } from "../support/node_process.ts";
import { withDirectory } from "../support/temporary.ts";
import { runForPerson, runMain } from "./run_main.ts";

/** A terminal at which a node was started. */
class Terminal implements AsyncDisposable {
  screen = "";
  readonly #stopping = new AbortController();
  readonly #hosting: Promise<void>;
  #type: (line: string) => void = () => {};
  #read = 0;

  constructor(node: TestNode, person = true) {
    const readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#type = (line) => controller.enqueue(new TextEncoder().encode(`${line}\n`));
      },
    });
    const stdout = {
      isTerminal: () => person,
      writeSync: (bytes: Uint8Array) => {
        this.screen += new TextDecoder().decode(bytes);
        return bytes.length;
      },
    };
    this.#hosting = hostPairings({
      out: new Output({ stdout, stderr: stdout }),
      input: { readable, isTerminal: () => person },
      flags: {},
      words: [],
      json: false,
      env: () => undefined,
      version: "1.2.3",
    }, { data: node.data, signal: this.#stopping.signal, mayAsk: () => true });
  }

  async answer(prompt: RegExp, line: string): Promise<void> {
    await until(() => Promise.resolve(prompt.test(this.screen.slice(this.#read))));
    this.#read = this.screen.length;
    this.#type(line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#hosting;
  }
}

Deno.test("Who wants to pair is answered where the node was started, one after the other", async () => {
  await using b = await TestNode.start({ name: "Bea's Ark", models: [FIXTURES] });
  await using a = await TestNode.start({ name: "Al's Ark" });
  await using c = await TestNode.start({ name: "C" });
  await using terminal = new Terminal(b);
  const al = runForPerson(["peers", "pair", b.mesh, "--data", a.data]);
  await al.answer(/or cancel \(c\): $/, "y");
  await terminal.answer(/Another node wants to pair with this one\.[^]*or cancel \(c\): $/, "y");
  await terminal.answer(/What may Al's Ark do here\?[^]*\[1\]: $/, "");
  await terminal.answer(/Which models\?[^\n]*: $/, "");
  await terminal.answer(/Is that right\?[^\n]*: $/, "");
  await al.answer(/1, 2 or 3 \[3\]: $/, "");
  await al.answer(/Is that right\?[^\n]*: $/, "");
  assert.equal(await al.finished, 0, al.screen + terminal.screen);
  await until(() => Promise.resolve(/Connected with Al's Ark\.\n$/.test(terminal.screen)));
  await a.reaches(MODEL);

  // What is decided elsewhere ends the question; the next line answers the next one.
  const first = await begin(c, { address: b.mesh });
  await terminal.answer(/or cancel \(c\): $/, "hm?");
  await terminal.answer(/or cancel \(c\): $/, "hm?");
  assert.equal((await c.admin(`/peers/pair/${first.session}/cancel`, {})).status, 200);
  await until(() => Promise.resolve(/cancelled/.test(terminal.screen)));
  await begin(c, { address: b.mesh });
  await terminal.answer(/cancelled[^]*Another node wants to pair[^]*or cancel \(c\): $/, "c");
  await pairingAt(b, ({ phase, mine }) => phase === "cancelled" && mine === "cancelled");
});

Deno.test("Nobody is asked where no person is", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A" });
  await using terminal = new Terminal(b, false);
  await begin(a, { address: b.mesh });
  await pairingAt(b);
  assert.equal(terminal.screen, "");
});

const { code: noScript } = await finished("sh", { args: ["-c", "command -v script bash"] });
const noJobs = Deno.build.os !== "linux" || noScript !== 0;
if (noJobs) {
  // deno-lint-ignore no-console
  console.log("pairing_host_test: one test skipped, there is no script or bash command, or this is not Linux");
}

Deno.test({
  name: "A node in the background of a terminal is not stopped by whoever wants to pair",
  ignore: noJobs,
  fn: () =>
    withDirectory(async (directory) => {
      const data = `${directory}/data`;
      const ports = ["--listen", "127.0.0.1:0", "--mesh-listen", "127.0.0.1:0", "--no-mdns", "--data", data];
      const words = [...FROM_SOURCE, ...ports].map((word) => `'${word}'`).join(" ");
      await using a = await TestNode.start({ name: "A" });
      // With job control, as in the shell of a person: it is in a group of its own, and that is not the terminal's.
      const shell = `set -m; ${words} & wait`;
      const child = new Deno.Command("script", {
        args: ["-qec", `bash -c ${JSON.stringify(shell)}`, "/dev/null"],
        env: cleanEnvironment(),
        clearEnv: true,
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      let [screen, pid, api] = ["", 0, ""];
      const reading = (async () => {
        for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) screen += text;
      })();
      try {
        await until(() => /Ready after/.test(screen));
        ({ pid, api } = JSON.parse(await Deno.readTextFile(`${data}/node.lock`)));
        const [, mesh = ""] = /mesh +(127\.0\.0\.1:\d+)/.exec(screen) ?? [];
        await begin(a, { address: mesh });
        // A stopped one would answer no more.
        for (let round = 0; round < 50; round++) {
          assert.match(await Deno.readTextFile(`/proc/${pid}/stat`), /\) [RSD] /);
          await fetch(`${api}/healthz`, { signal: AbortSignal.timeout(20_000) }).then((answer) => answer.text());
        }
        assert.doesNotMatch(screen, /Another node wants to pair/);
        Deno.kill(pid, "SIGTERM");
      } catch (error) {
        if (pid !== 0) Deno.kill(pid, "SIGKILL");
        child.kill("SIGKILL");
        throw error;
      } finally {
        await child.stdin.close().catch(() => {});
        await Promise.all([child.status, reading]);
      }
    }),
});

Deno.test("A person who names no node chooses one that is near; a script is told how to go on", async () => {
  await using b = await TestNode.start({ name: "B" });
  await using a = await TestNode.start({ name: "A", peers: [b.mesh] });
  await until(async () =>
    (await runMain(["peers", "pending", "--data", a.data])).stdout.includes(b.daemon.id.slice(0, 8))
  );
  assert.match((await runMain(["peers", "pair", "--data", a.data])).stdout, /^Nobody wants to pair now\./);
  const no = runForPerson(["peers", "pair", "--data", a.data]);
  await no.answer(/A node is near that you have not approved:\n {2}1 {2}\w{8} {2}\S+\nPair with it\?[^\n]*: $/, "no");
  assert.equal(await no.finished, 0);
  const al = runForPerson(["peers", "pair", "--data", a.data]);
  await al.answer(/Pair with it\?[^\n]*: $/, "");
  await al.answer(/[A-Z]{3,}[^]*or cancel \(c\): $/, "c");
  assert.equal(await al.finished, 1);
  await pairingAt(b, ({ phase }) => phase === "cancelled");
});

Deno.test("TerminalLines: the newest question gets the line, and what nobody asked for is no answer", async () => {
  let type: (text: string) => void = () => {};
  const readable = new ReadableStream<Uint8Array>({
    start: (controller) => {
      type = (text) => controller.enqueue(new TextEncoder().encode(text));
    },
  });
  const lines = new TerminalLines({ readable, isTerminal: () => true });
  let stale = false;
  void lines.next().then(() => stale = true);
  const newest = lines.next();
  type("one\n");
  assert.equal(await newest, "one");
  const other = lines.next();
  lines.drop();
  type("two\n");
  // It has been read, and nobody waited for it.
  await new Promise((resolve) => setTimeout(resolve));
  const last = lines.next();
  type("three\n");
  assert.equal(await Promise.race([other, last]), "three");
  assert.ok(!stale);
});
