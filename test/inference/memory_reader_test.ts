import assert from "node:assert/strict";
import { dirname } from "node:path";
import { MemoryReader, readMemory } from "../../src/inference/memory_reader.ts";

/** A folder that looks like a machine's root. */
async function rootWith(files: Record<string, string | Uint8Array>): Promise<string> {
  const root = await Deno.makeTempDir();
  for (const [path, content] of Object.entries(files)) {
    await Deno.mkdir(dirname(root + path), { recursive: true });
    await Deno.writeFile(root + path, typeof content === "string" ? new TextEncoder().encode(content) : content);
  }
  return root;
}

const MACHINE = {
  "/proc/pressure/memory":
    "some avg10=1.00 avg60=0.10 avg300=0.00 total=900\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=700\n",
  "/proc/vmstat": "nr_free_pages 1\npgmajfault 12621\npswpin 34\npswpout 56\n",
  "/proc/meminfo": "MemTotal:       16000000 kB\nMemFree:         1 kB\nMemAvailable:    8000000 kB\n",
};

async function readingOf(files: Record<string, string | Uint8Array>) {
  const root = await rootWith(files);
  try {
    const { ms: _, ...rest } = await readMemory({ root });
    return rest;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("readMemory() reads pressure, faults, swap and what is available", async () => {
  assert.deepEqual(await readingOf(MACHINE), {
    stalledUs: 700,
    ownStalledUs: null,
    swappedIn: 34,
    majorFaults: 12621,
    totalBytes: 16_000_000 * 1024,
    availableBytes: 8_000_000 * 1024,
  });
});

Deno.test("readMemory() heeds the node's own control group, of version 2, beside others and of version 1", async () => {
  const group = {
    "memory.pressure": "some avg10=0 avg60=0 avg300=0 total=9\nfull avg10=0 avg60=0 avg300=0 total=5\n",
    "memory.max": "4000000000\n",
    "memory.current": "3500000000\n",
    "memory.stat": "anon 1\nfile 1000000000\nkernel 3\n",
  };
  const in2 = (base: string) =>
    Object.fromEntries(Object.entries(group).map(([name, text]) => [`${base}/${name}`, text]));
  const self = "0::/system.slice/ark.service\n";
  for (const base of ["/sys/fs/cgroup/system.slice/ark.service", "/sys/fs/cgroup/unified/system.slice/ark.service"]) {
    const { ownStalledUs, totalBytes, availableBytes } = await readingOf({
      ...MACHINE,
      "/proc/self/cgroup": self,
      ...in2(base),
    });
    assert.deepEqual([ownStalledUs, totalBytes, availableBytes], [5, 4e9, 1.5e9]);
  }
  const inContainer = await readingOf({ ...MACHINE, "/proc/self/cgroup": "0::/\n", ...in2("/sys/fs/cgroup") });
  assert.equal(inContainer.totalBytes, 4e9);
  const unlimited = { ...in2("/sys/fs/cgroup"), "/sys/fs/cgroup/memory.max": "max\n" };
  assert.equal(
    (await readingOf({ ...MACHINE, "/proc/self/cgroup": "0::/\n", ...unlimited })).totalBytes,
    16_384_000_000,
  );
  const first = {
    "/proc/self/cgroup": "9:name=systemd:/\n4:memory:/docker/abc\n0::/\n",
    "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "2000000000\n",
    "/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes": "1000000000\n",
    "/sys/fs/cgroup/memory/docker/abc/memory.stat": "cache 7\ntotal_cache 500000000\n",
  };
  const one = await readingOf({ ...MACHINE, ...first });
  assert.deepEqual([one.totalBytes, one.availableBytes], [2e9, 1.5e9]);
});

Deno.test("readMemory() says null of files that are absent, odd, huge or folders, and never fails", async () => {
  const nothing = {
    stalledUs: null,
    ownStalledUs: null,
    swappedIn: null,
    majorFaults: null,
    totalBytes: null,
    availableBytes: null,
  };
  assert.deepEqual(await readingOf({}), nothing);
  const noise = crypto.getRandomValues(new Uint8Array(60_000));
  const odd: Record<string, string | Uint8Array>[] = [
    { "/proc/vmstat": noise, "/proc/meminfo": noise, "/proc/self/cgroup": noise, "/proc/pressure/memory": noise },
    { "/proc/vmstat/x": "", "/proc/meminfo/x": "", "/proc/self/cgroup/x": "", "/proc/pressure/memory/x": "" },
    { "/proc/vmstat": "pswpin -5\npgmajfault 1e9\n", "/proc/meminfo": "MemTotal: 99999999999999999999 kB\n" },
    { "/proc/vmstat": `${"x".repeat(10_000_000)}\npswpin 5\n` },
    { "/proc/self/cgroup": "0::/../../etc\n4:memory:/..\n", "/sys/etc/memory.max": "5\n" },
    { "/proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n" },
  ];
  for (const files of odd) assert.deepEqual(await readingOf(files), nothing, Object.keys(files).join());
});

Deno.test("MemoryReader sees each change of what it reads at once, and new files and another group within a minute", async () => {
  const [first, second] = ["/sys/fs/cgroup/first", "/sys/fs/cgroup/second"];
  const root = await rootWith({
    ...MACHINE,
    "/proc/self/cgroup": "0::/first\n",
    [`${first}/memory.max`]: "4000000000\n",
    [`${second}/memory.max`]: "3000000000\n",
  });
  let now = 1_000;
  const reader = new MemoryReader({ root, now: () => now });
  const read = () => {
    const { ms, totalBytes, availableBytes } = reader.read();
    assert.equal(ms, now);
    return [totalBytes, availableBytes];
  };
  const write = (path: string, text: string) => Deno.writeTextFile(root + path, text);
  try {
    assert.deepEqual(read(), [4e9, 8_192_000_000]);
    await write(`${first}/memory.max`, "5000000000\n");
    await write("/proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 1000 kB\n");
    assert.deepEqual(read(), [5e9, 1_024_000]);

    await write("/proc/self/cgroup", "0::/second\n");
    await write(`${second}/memory.current`, "2999999999\n");
    await write(`${first}/memory.current`, "4999999998\n");
    now += 59_999;
    assert.deepEqual(read(), [5e9, 1_024_000], "What is there was looked for again");
    now += 1;
    assert.deepEqual(read(), [3e9, 1]);
    await Deno.remove(`${root}${second}`, { recursive: true });
    assert.deepEqual(read(), [16_384_000_000, 1_024_000]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("MemoryReader tries again at once what is there and could not be opened", async () => {
  const root = await rootWith(MACHINE);
  const meminfo = `${root}/proc/meminfo`;
  const reader = new MemoryReader({ root, now: () => 1_000 });
  try {
    await Deno.remove(meminfo);
    await Deno.symlink(meminfo, meminfo);
    assert.equal(reader.read().totalBytes, null);
    await Deno.remove(meminfo);
    await Deno.writeTextFile(meminfo, "MemTotal: 1000 kB\nMemAvailable: 500 kB\n");
    assert.equal(reader.read().totalBytes, 1_024_000);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("readMemory() knows this machine's memory", async () => {
  const { ms, totalBytes, availableBytes } = await readMemory();
  assert.ok(ms > 0);
  assert.ok(totalBytes !== null && totalBytes > 1e8, `${totalBytes}`);
  assert.ok(availableBytes !== null && availableBytes > 0 && availableBytes <= totalBytes, `${availableBytes}`);
});
