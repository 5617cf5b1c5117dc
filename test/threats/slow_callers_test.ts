/** Callers that take up room and time, while an approved peer goes on with its work from another address. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { canUseNamespaces } from "../support/netns.ts";
import { type Beat, quantile } from "../support/steady_peer.ts";
import { failures, missing, Siege } from "./siege.ts";

const LONG = Deno.env.get("ARK_LONG") === "1";
/** Of each attack in the long form. */
const SECONDS = Number(Deno.env.get("ARK_LONG_SECONDS") ?? 60);
const FLOOD = fileURLToPath(new URL("flood.ts", import.meta.url));
const reason = await canUseNamespaces();
const noTool = reason ?? await missing("slowhttptest", "-h");
// deno-lint-ignore no-console
if (noTool !== null) console.log(`slow_callers_test: ${reason === null ? "only own attacks" : "skipped"}, ${noTool}`);

/** A way to be a nuisance: what Mallory runs. */
interface Attack {
  name: string;
  command: (siege: Siege, seconds: number) => string[];
}

function flood(mode: string, rate: number): Attack {
  const command = ({ address }: Siege, seconds: number) => {
    const options = [mode, address.hostname, String(address.port), String(rate), String(seconds)];
    return [Deno.execPath(), "run", "-A", "--no-check", FLOOD, ...options];
  };
  return { name: `${mode} at ${rate}/s`, command };
}

function slowhttptest(name: string, ...mode: string[]): Attack {
  const [count, rate] = LONG ? [2_000, 200] : [100, 100];
  const command = ({ address }: Siege, seconds: number) => {
    const url = `https://${address.hostname}:${address.port}/ark/v1/infer`;
    return [
      "slowhttptest",
      ...mode,
      "-c",
      `${count}`,
      "-r",
      `${rate}`,
      "-l",
      `${seconds}`,
      "-i",
      "1",
      "-p",
      "3",
      "-u",
      url,
    ];
  };
  return { name, command };
}

const SLOW: Attack[] = [
  ...(noTool !== null ? [] : [
    slowhttptest("slow headers", "-H"),
    slowhttptest("slow body", "-B", "-s", "4096"),
    slowhttptest("ranges", "-R"),
    slowhttptest("slow read", "-X", "-w", "1", "-y", "2", "-n", "5", "-z", "1"),
  ]),
  flood("idle", LONG ? 200 : 100),
  flood("half", LONG ? 200 : 100),
];

/** Alice's beats while the attacks run. */
async function during(siege: Siege, attacks: readonly Attack[], seconds: number): Promise<Beat[]> {
  const from = siege.alice.beats.length;
  const until = performance.now() + seconds * 1_000;
  await Promise.all(attacks.map(async ({ command }) => {
    // A tool that finds all its connections closed gives up; it is told to begin again.
    while (performance.now() < until) {
      const left = Math.max(1, Math.ceil((until - performance.now()) / 1_000));
      await siege.mallory.output(command(siege, left));
    }
  }));
  return siege.alice.beats.slice(from);
}

function figures(name: string, beats: readonly Beat[], more = ""): string {
  const [ask, first] = [quantile(beats, "offer", 0.99), quantile(beats, "infer", 0.99)];
  return `${name}: ${beats.length} requests, ${failures(beats).length} failed, p99 of an offer ${ask.toFixed(1)} ms, ` +
    `of a first byte ${first.toFixed(1)} ms${more}`;
}

Deno.test({
  name: "T23: An approved peer is served as ever while slow callers hold on to all that they can get",
  ignore: reason !== null,
  async fn() {
    await using siege = await Siege.begin({ everyMs: 20 });
    const { alice } = siege;
    const before = await alice.next(LONG ? 1_000 : 40);
    assert.deepEqual(failures(before), []);
    const sockets = await siege.sockets();
    // Some at a time would tell more, and all at once takes less of everybody's time.
    const turns = LONG ? SLOW.map((attack) => [attack]) : [SLOW];
    const lines = [figures("T23 before", before)];
    for (const attacks of turns) {
      const name = attacks.map((attack) => attack.name).join(", ");
      const beats = await during(siege, attacks, LONG ? SECONDS : 3);
      const held = await siege.sockets();
      assert.deepEqual(failures(beats), [], name);
      assert.ok(beats.length > 10, name);
      await siege.settled(sockets);
      lines.push(figures(`T23 ${name}`, beats, `, ${held - sockets} sockets more at the end`));
      if (LONG) {
        const ratio = quantile(beats, "infer", 0.99) / quantile(before, "infer", 0.99);
        assert.ok(ratio <= 2, `${lines.join("\n")}\nThat is ${ratio.toFixed(2)} times as long`);
      }
    }
    // deno-lint-ignore no-console
    console.log(lines.join("\n"));
  },
});

Deno.test({
  name: "T24: A flood of handshakes from one address costs less than a core, and an approved peer nothing",
  ignore: reason !== null,
  async fn() {
    await using siege = await Siege.begin({ everyMs: 20 });
    const { alice } = siege;
    const before = await alice.next(LONG ? 1_000 : 40);
    assert.deepEqual(failures(before), []);
    const sockets = await siege.sockets();
    const seconds = LONG ? SECONDS : 3;
    const [used, began] = [await siege.processorSeconds(), performance.now()];
    const beats = await during(siege, [flood("handshakes", 500)], seconds);
    const cores = (await siege.processorSeconds() - used) / ((performance.now() - began) / 1_000);
    assert.deepEqual(failures(beats), []);
    assert.ok(beats.length > 10);
    assert.ok(cores <= 1, `It took ${cores.toFixed(2)} cores`);
    await siege.settled(sockets);
    // deno-lint-ignore no-console
    console.log(`${figures("T24 before", before)}\n${figures("T24 flood", beats, `, ${cores.toFixed(2)} cores`)}`);
    if (LONG) {
      const ratio = quantile(beats, "infer", 0.99) / quantile(before, "infer", 0.99);
      assert.ok(ratio <= 2, `That is ${ratio.toFixed(2)} times as long`);
    }
  },
});
