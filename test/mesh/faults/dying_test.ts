/**
 * Nodes that die, hang, vanish or are revoked while they answer: a gateway and three peers, each a process of its own.
 * Many clients are at different points of their answers when it happens; none of them loses or doubles a token.
 */
import assert from "node:assert/strict";
import { until } from "../../inference/local_fixture.ts";
import { canUseNamespaces } from "../../support/netns.ts";
import { assertWhole, type ChainAnswer, quantile } from "./chain_client.ts";
import { ProcessLab } from "./process_lab.ts";

const LONG = Deno.env.has("ARK_LONG");
/** Clients of a round; a third of them is answered by the peer that dies, at as many different points. */
const CLIENTS = 21;
const TOKENS = 60;
const SLOW_MS = 25;

interface Disaster {
  /** Happens to a peer. */
  strike(lab: ProcessLab, name: string): void | Promise<void>;
  /** Undoes it. */
  mend(lab: ProcessLab, name: string): void | Promise<void>;
}

/** What struck clients got, and where in their answers it struck. */
interface Struck {
  answers: ChainAnswer[];
  points: number[];
}

/** One round: clients at all points of their answers, and a disaster to the peer that answers most of them. */
async function round(lab: ProcessLab, { strike, mend }: Disaster): Promise<Struck> {
  await lab.settled();
  const clients = lab.clients({ clients: CLIENTS, tokens: TOKENS, slowMs: SLOW_MS });
  const running = () => clients.states.filter(({ tokens, over }) => tokens > 0 && !over);
  await until(() => clients.states.every(({ tokens, over }) => tokens > 0 || over));
  const [most] = Map.groupBy(running(), ({ node }) => node).entries()
    .toArray().sort(([, a], [, b]) => b.length - a.length);
  const name = lab.peer(most?.[0] ?? null).name;
  const before = clients.states.map(({ node, over }) => node === name && !over);
  await strike(lab, name);
  const states = clients.states.map((state) => ({ ...state }));
  const answers = await clients.answers;
  await mend(lab, name);
  const struck = states.map(({ over, tokens }, index) =>
    before[index] && tokens < TOKENS && !(over && answers[index]?.error === null)
  );
  for (const [index, answer] of answers.entries()) {
    const context = `client ${index} of ${states[index]?.node}, at token ${
      states[index]?.tokens
    } when ${name} was struck`;
    assertWhole(answer, context);
  }
  return {
    answers: answers.filter((_, index) => struck[index]),
    points: states.filter((_, index) => struck[index]).map(({ tokens }) => tokens),
  };
}

/** Rounds until so many clients were struck; prints at which points, and how long their silence was. */
async function rounds(lab: ProcessLab, name: string, { disaster, least }: { disaster: Disaster; least: number }) {
  const all: Struck = { answers: [], points: [] };
  for (let turn = 0; turn < least && all.answers.length < least; turn++) {
    const { answers, points } = await round(lab, disaster);
    all.answers.push(...answers);
    all.points.push(...points);
  }
  assert.ok(all.answers.length >= least, `${name} struck ${all.answers.length} clients`);
  const whole = all.answers.filter(({ error }) => error === null).length;
  const gaps = all.answers.map(({ gapMs }) => gapMs);
  // deno-lint-ignore no-console
  console.log(
    `${name}: ${whole} of ${all.answers.length} struck clients have the whole text ` +
      `(at tokens ${all.points.toSorted((a, b) => a - b).join(" ")}), ` +
      `gap p50 ${quantile(gaps, 0.5).toFixed(0)} ms, p95 ${quantile(gaps, 0.95).toFixed(0)} ms`,
  );
  assert.equal(whole, all.answers.length);
}

const DISASTERS: Record<string, Disaster> = {
  "A peer that is killed": {
    strike: (lab, name) => lab.peer(name).node.kill("SIGKILL"),
    mend: (lab, name) => lab.restart(name),
  },
  "A peer that hangs (SIGSTOP)": {
    strike: (lab, name) => lab.peer(name).node.kill("SIGSTOP"),
    mend: (lab, name) => lab.peer(name).node.kill("SIGCONT"),
  },
  "A peer whose worker is killed": {
    strike: async (lab, name) => {
      for (const pid of await lab.workers(name)) Deno.kill(pid, "SIGKILL");
    },
    mend: () => {},
  },
  "A peer whose owner revokes the gateway": {
    strike: (lab, name) => lab.revoke("gateway", name),
    mend: (lab, name) => lab.approveGateway(name),
  },
  "A peer that the gateway's owner revokes": {
    strike: (lab, name) => lab.revoke("peer", name),
    mend: (lab, name) => lab.approvePeer(name),
  },
};

Deno.test("A peer that dies, hangs or is revoked while it answers loses and doubles no token", async (t) => {
  await using lab = await ProcessLab.start();
  for (const [name, disaster] of Object.entries(DISASTERS)) {
    const least = LONG || name === "A peer that is killed" ? 20 : 4;
    await t.step(name, () => rounds(lab, name, { disaster, least }));
  }
});

const reason = await canUseNamespaces();
// deno-lint-ignore no-console
if (reason !== null) console.log(`dying_test: skipped what needs namespaces, ${reason}`);

Deno.test({
  name: "A peer whose cable is pulled while it answers loses and doubles no token",
  ignore: reason !== null,
  async fn() {
    await using lab = await ProcessLab.start({ namespaces: true });
    const set = (name: string, state: "up" | "down") => async () => {
      const host = lab.network?.host(name);
      await host?.run(["ip", "link", "set", "eth0", state]);
    };
    await rounds(lab, "A peer whose cable is pulled", {
      disaster: {
        strike: (_, name) => set(name, "down")(),
        mend: (_, name) => set(name, "up")(),
      },
      least: LONG ? 20 : 4,
    });
  },
});
