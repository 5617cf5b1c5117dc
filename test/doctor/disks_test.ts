/** Planted on small file systems of their own. Linux, root. */
import assert from "node:assert/strict";
import { statfs } from "node:fs/promises";
import { until } from "../inference/local_fixture.ts";
import { TestNode } from "../mesh/test_node.ts";
import { withDirectory, withTinyDisk } from "../support/temporary.ts";
import { fault, fine, look, lookStopped } from "./looking.ts";

/** Fills a file system until hardly more than some bytes are left. */
async function fill(directory: string, { leave }: { leave: number }): Promise<void> {
  const block = new Uint8Array(1 << 20);
  using file = await Deno.open(`${directory}/full`, { append: true, create: true });
  for (;;) {
    const { bavail, bsize } = await statfs(directory);
    if (Number(bavail) * Number(bsize) <= leave + block.length) return;
    await file.write(block);
  }
}

Deno.test("Fault 23: the disk of the data directory is nearly full, is in memory, and holds no further model", () =>
  withTinyDisk(200 << 10, async (disk) => {
    await using node = await TestNode.start({ name: "A", data: `${disk}/data` });
    await fill(disk, { leave: 8 << 20 });
    const found = await look(node);
    const full = fault(found, "disk");
    assert.equal(full.level, "danger");
    assert.match(full.sentence, /^The disk where the data lie has \d+ MiB free/);
    assert.match(full.fix, /^Make room/);
    const models = fault(found, "models-disk");
    assert.match(models.sentence, /^There is hardly room for another model: \d+ MiB free/);
    assert.match(models.fix, /ark-node models rm MODEL/);
    const place = fault(found, "data-place");
    assert.match(place.sentence, /is in memory \(tmpfs\), and is gone after the next start of the machine$/);
    assert.match(place.fix, /--data$/);
    await Deno.remove(`${disk}/full`);
    await until(async () => (await look(node)).some(({ check, level }) => check === "disk" && level === "warning"));
  }));

Deno.test("Fault 24: the data directory cannot be written, as its disk is mounted read-only", () =>
  withTinyDisk(4 << 10, async (disk) => {
    const mount = (how: string) =>
      new Deno.Command("mount", { args: ["-o", `remount,${how}`, disk], stdout: "null", stderr: "null" }).output();
    await Deno.mkdir(`${disk}/models`);
    assert.ok((await mount("ro")).success);
    const [first, ...more] = (await lookStopped(disk)).filter(({ check, level }) =>
      check === "data-place" && level === "danger"
    );
    assert.deepEqual(more, []);
    assert.equal(first?.sentence, `The data directory ${disk} is on a file system that is mounted read-only`);
    assert.match(first?.fix ?? "", /sudo mount -o remount,rw/);
    assert.ok((await mount("rw")).success);
    assert.ok((await lookStopped(disk)).every(({ check, level }) => check !== "data-place" || level !== "danger"));
  }));

Deno.test("A data directory on a disk of the machine is in order", () =>
  withDirectory(async (data) => {
    const found = await lookStopped(data);
    const place = found.filter(({ check }) => check === "data-place");
    // Where temporary files are in memory, that is said, and rightly.
    if (place.some(({ sentence }) => /tmpfs|container/.test(sentence))) return;
    fine(found, "data-place");
  }));
