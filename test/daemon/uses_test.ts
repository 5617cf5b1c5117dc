import assert from "node:assert/strict";
import * as fc from "fast-check";
import { cpuTimes, CpuUse } from "../../src/daemon/sharing/cpu_use.ts";
import { engineUse, parseFdinfo } from "../../src/daemon/sharing/drm_use.ts";
import { GameUse, parseGameMode, parseNotificationState } from "../../src/daemon/sharing/game_use.ts";
import { GpuUse } from "../../src/daemon/sharing/gpu_use.ts";
import { InputUse, parseIoreg, parseMilliseconds } from "../../src/daemon/sharing/input_use.ts";
import { parseSession, parseSessions } from "../../src/daemon/sharing/logind.ts";
import { othersPart, parsePmon, parseUtilization } from "../../src/daemon/sharing/nvidia_use.ts";
import { familyOf, listProcesses, parseProcessStat } from "../../src/daemon/sharing/own_processes.ts";
import { type RunTool, runTool, type ToolAnswer } from "../../src/daemon/sharing/run_tool.ts";
import type { OwnWork } from "../../src/daemon/sharing/use_detector.ts";

const ALIVE = AbortSignal.timeout(60_000);
const RESTING: OwnWork = { pids: () => [], working: () => false };
const WORKING: OwnWork = { pids: () => [], working: () => true };
const printed = (text: string): ToolAnswer => ({ kind: "printed", text });
const MISSING: ToolAnswer = { kind: "missing" };

/** In the form that the manual of the tool shows; the game is the second one. */
const PMON = `# gpu         pid   type     sm    mem    enc    dec    jpg    ofa    command 
# Idx           #    C/G      %      %      %      %      %      %    name 
    0       2411     G      1      0      -      -      -      -    Xorg           
    0      18532   C+G     71     22      -      -      -      -    eldenring.exe  
    1      20001     C     90     30      -      -      -      -    deno           
`;
const NOBODY = `# gpu         pid   type     sm    mem    enc    dec    command
# Idx           #    C/G      %      %      %      %    name
    0          -     -      -      -      -      -    -
`;

/** Tools that answer what stands here; all others are missing. */
function tools(answers: Record<string, ToolAnswer>): RunTool {
  return (program, args) =>
    Promise.resolve(answers[`${program} ${args[0] ?? ""}`.trim()] ?? answers[program] ?? MISSING);
}

Deno.test("parsePmon() and othersPart() tell the load of others from our own, GPU by GPU", () => {
  const listed = parsePmon(PMON) ?? assert.fail("It was not read");
  assert.deepEqual(listed.map(({ gpu, pid, part }) => [gpu, pid, part]), [[0, 2411, 0.01], [0, 18532, 0.71], [
    1,
    20001,
    0.9,
  ]]);
  assert.equal(othersPart(listed, new Set([20001])), 0.72);
  assert.equal(othersPart(listed, new Set([20001, 18532])), 0.01);
  assert.deepEqual(parsePmon(NOBODY)?.map(({ pid }) => pid), [null]);
  // A driver that does not say how much each one uses says nothing, and not that nobody does.
  assert.equal(othersPart([{ gpu: 0, pid: 7, part: null }], new Set()), null);
  assert.equal(parsePmon("Failed to initialize NVML: Driver/library version mismatch"), null);
  assert.deepEqual([parseUtilization("3\n97\n"), parseUtilization("[N/A]"), parseUtilization("101")], [
    0.97,
    null,
    null,
  ]);
});

Deno.test("GpuUse goes by nvidia-smi where it is there, and by the whole load only while no model of ours works", async () => {
  const look = (answers: Record<string, ToolAnswer>, own = RESTING) =>
    new GpuUse({ own, run: tools(answers), root: "/nonexistent" }).look(ALIVE);
  const used = await look({ "nvidia-smi pmon": printed(PMON) }, { pids: () => [20001], working: () => true });
  assert.deepEqual(used, { kind: "used", sentence: "Other programs use 72 % of the GPU" });
  const mine = { pids: () => [20001, 18532], working: () => true };
  assert.equal((await look({ "nvidia-smi pmon": printed(PMON) }, mine)).kind, "calm");
  const whole = { "nvidia-smi pmon": printed(NOBODY), "nvidia-smi --query-gpu=utilization.gpu": printed("88\n") };
  assert.equal((await look(whole)).kind, "used");
  assert.equal((await look(whole, WORKING)).kind, "cannot_tell");
  assert.equal((await look({})).kind, "cannot_tell", "There is no tool and no kernel that tells");
  const broken: ToolAnswer = { kind: "failed", why: "nvidia-smi does not answer" };
  assert.deepEqual(await look({ "nvidia-smi": broken }), { kind: "cannot_tell", why: "nvidia-smi does not answer" });
});

Deno.test("GpuUse asks for a missing nvidia-smi once, and not at every look", async () => {
  let asked = 0;
  const use = new GpuUse({ own: RESTING, root: "/nonexistent", run: () => (asked++, Promise.resolve(MISSING)) });
  for (let i = 0; i < 5; i++) await use.look(ALIVE);
  assert.equal(asked, 1);
});

/** A machine's `/proc` and `/sys` as files: this process, and a game, each with one descriptor of a GPU. */
async function fakeMachine(): Promise<{ root: string; spend: (pid: number, ns: number) => Promise<void> }> {
  const root = await Deno.makeTempDir();
  const spend = (pid: number, ns: number) =>
    Deno.writeTextFile(
      `${root}/proc/${pid}/fdinfo/7`,
      `pos:\t0\nflags:\t02100002\ndrm-driver:\tamdgpu\ndrm-client-id:\t${pid}\ndrm-pdev:\t0000:03:00.0\n` +
        `drm-engine-gfx:\t${ns} ns\ndrm-engine-capacity-gfx:\t1\ndrm-memory-vram:\t4096 KiB\n`,
    );
  for (const pid of [Deno.pid, 4242]) {
    for (const folder of ["fd", "fdinfo"]) await Deno.mkdir(`${root}/proc/${pid}/${folder}`, { recursive: true });
    await Deno.symlink("/dev/dri/renderD128", `${root}/proc/${pid}/fd/7`);
    await Deno.writeTextFile(`${root}/proc/${pid}/stat`, `${pid} (a (game) x) S 1 0 0 0 0 0 0 0 0 0 10 5 0 0`);
    await spend(pid, 0);
  }
  return { root, spend };
}

Deno.test("GpuUse goes by what the kernel tells of each program, and by AMD's load less our own part", async () => {
  const { root, spend } = await fakeMachine();
  try {
    const use = new GpuUse({ own: WORKING, run: tools({}), root });
    await use.look(ALIVE);
    // We ourselves work hard, the game does not.
    await spend(Deno.pid, 1e15);
    assert.equal((await use.look(ALIVE)).kind, "calm");
    await spend(4242, 1e15);
    assert.deepEqual(await use.look(ALIVE), { kind: "used", sentence: "Other programs use 100 % of the GPU" });
    assert.equal((await use.look(ALIVE)).kind, "calm");

    const load = `${root}/sys/class/drm/card0/device`;
    await Deno.mkdir(load, { recursive: true });
    await Deno.writeTextFile(`${load}/gpu_busy_percent`, "95\n");
    assert.deepEqual(await use.look(ALIVE), { kind: "used", sentence: "Other programs use 95 % of the GPU" });
    await spend(Deno.pid, 2e15);
    assert.equal((await use.look(ALIVE)).kind, "calm", "All of it is our own");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("engineUse() counts a client once however many descriptors it has, and nothing of one that is new", () => {
  const client = (id: number, ns: number) => ({ key: `pci ${id}`, engines: new Map([["gfx", ns]]) });
  const before = { ms: 0, clients: [client(1, 0), client(1, 0)] };
  const now = { ms: 1_000, clients: [client(1, 5e8), client(1, 5e8), client(2, 9e15)] };
  assert.equal(engineUse(before, now), 0.5);
});

Deno.test({
  name: "CpuUse tells a real program of somebody else from one that this node started",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using own = hog();
    const all = await listProcesses() ?? assert.fail("There is no /proc");
    assert.ok(familyOf([Deno.pid], all).has(own.pid));
    // What the machine does beside is left out, so that nothing depends on it: there are this test and its one hog.
    const started = performance.now();
    let found = all;
    let hogMs = 0;
    const spent = async () => {
      found = await listProcesses() ?? found;
      hogMs = found.get(own.pid)?.cpuMs ?? 0;
      return hogMs + (found.get(Deno.pid)?.cpuMs ?? 0);
    };
    let used = await spent();
    const times = () => ({ all: performance.now() - started, used });
    // Nor what other tests have started in this process.
    const only = (pids: number[]) => () => Promise.resolve(new Map([...found].filter(([pid]) => pids.includes(pid))));
    const mine = new CpuUse({ own: RESTING, bound: 0.05, times, processes: only([Deno.pid, own.pid]) });
    // The same hog, as a program sees it that has not started it.
    const theirs = new CpuUse({
      own: RESTING,
      bound: 0.05,
      times,
      processes: only([Deno.pid]),
    });
    await Promise.all([mine.look(), theirs.look()]);
    const before = hogMs;
    const deadline = performance.now() + 20_000;
    // Of the two it is the hog that counts: other tests run in this process.
    while (hogMs - before < 400 || performance.now() - started < 700) {
      assert.ok(performance.now() < deadline, "The machine gives a program no time at all");
      await new Promise((resolve) => setTimeout(resolve, 100));
      used = await spent();
    }
    const [calm, busy] = [await mine.look(), await theirs.look()];
    assert.equal(calm.kind, "calm", JSON.stringify(calm));
    const elapsed = performance.now() - started;
    if (400 / elapsed > 0.05) assert.equal(busy.kind, "used", JSON.stringify(busy));
  },
});

Deno.test("CpuUse cannot tell while a model works where processes cannot be seen, and on a server it does not count", async () => {
  let now = { all: 0, used: 0 };
  const options = { times: () => now, processes: () => Promise.resolve(null) };
  const blind = new CpuUse({ own: WORKING, ...options });
  const resting = new CpuUse({ own: RESTING, ...options });
  const server = new CpuUse({ own: RESTING, ...options, counts: async () => await false });
  for (const use of [blind, resting, server]) assert.equal((await use.look()).kind, "cannot_tell");
  now = { all: 1e9, used: 9e8 };
  assert.deepEqual([(await blind.look()).kind, (await resting.look()).kind, (await server.look()).kind], [
    "cannot_tell",
    "used",
    "cannot_tell",
  ]);
  const [first, second] = [cpuTimes(), cpuTimes()];
  assert.ok(first !== null && second !== null && first.used <= first.all && second.all >= first.all);
});

const X11 = "Type=x11\nClass=user\nRemote=no\nState=active\nIdleHint=no\nIdleSinceHint=1795000000000000\n";

Deno.test("InputUse never takes a server without a screen, nor a login by SSH, for somebody at the machine", async () => {
  const look = (answers: Record<string, ToolAnswer>, os = "linux") =>
    new InputUse({ os, run: tools(answers) }).look(ALIVE);
  const sessions = printed("  4 1000 dave seat0 tty2\n");
  const session = (text: string) => ({ "loginctl list-sessions": sessions, "loginctl show-session": printed(text) });
  // No logind, nobody logged in, SSH, a text console, the login screen, and one who went away to another session.
  assert.equal((await look({})).kind, "cannot_tell");
  assert.equal((await look({ "loginctl list-sessions": printed("") })).kind, "calm");
  assert.equal(
    (await look(session(X11.replace("Type=x11", "Type=tty").replace("Remote=no", "Remote=yes")))).kind,
    "calm",
  );
  assert.equal((await look(session(X11.replace("Type=x11", "Type=tty")))).kind, "calm");
  assert.equal((await look(session(X11.replace("Class=user", "Class=greeter")))).kind, "calm");
  assert.equal((await look(session(X11.replace("State=active", "State=online")))).kind, "calm");
  // Even where a tool says that something was touched: xprintidle of a server's virtual screen.
  assert.equal((await look({ "loginctl list-sessions": printed(""), xprintidle: printed("5\n") })).kind, "calm");

  assert.equal((await look(session(X11))).kind, "used");
  assert.equal((await look(session(X11.replace("IdleHint=no", "IdleHint=yes")))).kind, "calm");
  // A desktop that never says anything.
  assert.equal((await look(session(X11.replace(/IdleSinceHint=\d+/, "IdleSinceHint=0")))).kind, "cannot_tell");
  assert.equal((await look({ ...session(X11), xprintidle: printed("900000\n") })).kind, "calm");

  assert.equal((await look({ ioreg: printed('    | |   "HIDIdleTime" = 1200000000\n') }, "darwin")).kind, "used");
  assert.equal((await look({ "powershell.exe": printed("600000\r\n") }, "windows")).kind, "calm");
  assert.equal((await look({}, "freebsd")).kind, "cannot_tell");
});

Deno.test("GameUse tells a game where the platform does", async () => {
  const look = (answers: Record<string, ToolAnswer>, os: string) =>
    new GameUse({ os, run: tools(answers) }).look(ALIVE);
  assert.equal((await look({ gamemoded: printed("gamemode is active\n") }, "linux")).kind, "used");
  assert.equal((await look({ gamemoded: printed("gamemode is inactive\n") }, "linux")).kind, "calm");
  assert.deepEqual(await look({}, "linux"), { kind: "cannot_tell", why: "there is no gamemoded here" });
  assert.equal((await look({ "powershell.exe": printed("3\r\n") }, "windows")).kind, "used");
  assert.equal((await look({ "powershell.exe": printed("5\r\n") }, "windows")).kind, "calm");
  assert.equal((await look({}, "darwin")).kind, "cannot_tell");
});

Deno.test("Whatever a tool or the kernel prints is read without a fault, and nothing out of it leaves its range", () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom(
      ...PMON.split("\n"),
      ...X11.split("\n"),
      "drm-client-id:\t1",
      "drm-engine-gfx:\t9 ns",
      '"HIDIdleTime" = 9',
    ),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 40 }).map((lines) => lines.join("\n")), (text) => {
      for (const { part, gpu } of parsePmon(text) ?? []) {
        assert.ok(gpu >= 0 && (part === null || (part >= 0 && part <= 1)));
      }
      const others = othersPart(parsePmon(text) ?? [], new Set());
      assert.ok(others === null || (others >= 0 && others <= 1));
      for (const value of [parseUtilization(text), parseMilliseconds(text), parseIoreg(text)]) {
        assert.ok(value === null || (value >= 0 && Number.isFinite(value)));
      }
      const client = parseFdinfo(text);
      if (client !== null) assert.ok(engineUse({ ms: 0, clients: [client] }, { ms: 1, clients: [client] }) === 0);
      assert.ok(parseSessions(text).length <= 16);
      for (const parse of [parseSession, parseGameMode, parseNotificationState, parseProcessStat]) parse(text);
    }),
    { numRuns: 500 },
  );
});

Deno.test({
  name: "runTool() ends a program that hangs, and takes no more than it should of one that prints for ever",
  ignore: Deno.build.os === "windows",
  async fn() {
    assert.deepEqual(await runTool("no-such-program-here", [], ALIVE), { kind: "missing" });
    assert.deepEqual(await runTool("printf", ["a b"], ALIVE), { kind: "printed", text: "a b" });
    assert.deepEqual(await runTool("false", [], ALIVE), { kind: "failed", why: "false fails" });
    const began = performance.now();
    // One that ignores signals to end, and whose child holds the pipe.
    const hung = await runTool("sh", ["-c", "trap '' TERM; sleep 8 & sleep 8"], AbortSignal.timeout(300));
    assert.deepEqual(hung, { kind: "failed", why: "sh does not answer" });
    assert.ok(performance.now() - began < 7_000);
    assert.deepEqual(await runTool("head", ["-c", "300000", "/dev/zero"], ALIVE), {
      kind: "failed",
      why: "head prints too much",
    });
  },
});

/** A program that uses a processor for as long as it may. */
function hog(): AsyncDisposable & { pid: number } {
  const child = new Deno.Command("sh", { args: ["-c", "while :; do :; done"], stdin: "null" }).spawn();
  return {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}
