import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PartBlob } from "@ark/node/models";
import { ArkError, CHUNK_BYTES, type ErrorCode } from "@ark/node/protocol";
import { cleanEnvironment } from "../../support/node_process.ts";
import { withDirectory, withTinyDisk } from "../../support/temporary.ts";
import { type RandomBlob, randomBlob } from "./random_blob.ts";

const { signal } = new AbortController();
const PROGRAM = fileURLToPath(new URL("./part_process.ts", import.meta.url));
const POINTS = Deno.env.get("ARK_LONG") === "1" ? 50 : 3;
const CHUNKS = 18;

async function refused(work: Promise<unknown>, code: ErrorCode, sentence: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof ArkError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, sentence);
    return true;
  });
}

/** Numbers of the chunks that are there. */
function indexes({ have }: PartBlob): number[] {
  return Array.from({ length: have.length }, (_, index) => index).filter((index) => have.get(index));
}

/** What the disk has of chunks that are said to be there. */
async function allRight(part: PartBlob, blob: RandomBlob): Promise<void> {
  for (const index of indexes(part)) assert.deepEqual(await part.read(index), blob.chunk(index), `chunk ${index}`);
}

/** Fills a part in a process, and kills it when so many chunks were written; what it said it had written. */
async function killed(args: readonly string[], after: number): Promise<{ written: number[]; whole: boolean }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", PROGRAM, ...args],
    env: cleanEnvironment(),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const written: number[] = [];
  let [rest, whole] = ["", false];
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "whole") whole = true;
      else if (line !== "begun") written.push(Number(line));
    }
    if (written.length >= after && !whole) child.kill("SIGKILL");
  }
  await child.status;
  return { written, whole };
}

Deno.test(`A part whose process is killed at ${POINTS} points loses no chunk that was written, and has no wrong one`, () =>
  withDirectory(async (directory) => {
    const blob = randomBlob(CHUNKS * CHUNK_BYTES - 99);
    const [source, path, into] = ["source", "a.part", "whole"].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    await Deno.writeFile(source, blob.bytes);
    let points = 0;
    for (let seed = 1; points < POINTS; seed++) {
      await Deno.remove(into).catch(() => {});
      const known = new Set<number>();
      for (let whole = false; !whole && points < POINTS;) {
        const after = Math.floor(Math.random() * 6);
        const outcome = await killed([source, path, into, String(seed + points)], after);
        for (const index of outcome.written) {
          assert.ok(!known.has(index), `Chunk ${index} was there, and was fetched again`);
          known.add(index);
        }
        whole = outcome.whole || await Deno.stat(into).then(() => true, () => false);
        if (whole) break;
        points++;
        assert.equal(await Deno.stat(into).catch(() => null), null, "nothing is installed");
        await using part = await PartBlob.open(path, { ...blob, signal });
        for (const index of known) assert.ok(part.have.get(index), `Chunk ${index} was written and is lost`);
        // A chunk may be written whose number the process could not tell any more.
        for (const index of indexes(part)) known.add(index);
        await allRight(part, blob);
      }
    }
    await Deno.remove(into).catch(() => {});
    const { whole } = await killed([source, path, into, "7"], Infinity);
    assert.ok(whole);
    assert.equal(createHash("sha256").update(await Deno.readFile(into)).digest("hex"), blob.sha256);
  }));

Deno.test("PartBlob hashes after a crash only what was written since it was made certain", () =>
  withDirectory(async (directory) => {
    const blob = randomBlob(6 * CHUNK_BYTES);
    const [live, image] = [join(directory, "live.part"), join(directory, "image.part")];
    {
      await using part = await PartBlob.open(live, { ...blob, signal });
      for (const index of [0, 1, 2]) assert.ok(await part.write(index, blob.chunk(index)));
      await part.sync();
      for (const index of [3, 4]) assert.ok(await part.write(index, blob.chunk(index)));
      // What a power cut leaves: data that never reached the disk, of chunks that the journal names.
      for (const name of ["", ".have"]) await Deno.copyFile(live + name, image + name);
    }
    const spoil = async (index: number) => {
      using file = await Deno.open(image, { write: true });
      await file.seek(index * CHUNK_BYTES + 5, Deno.SeekMode.Start);
      await file.write(new Uint8Array(64));
    };
    await spoil(1);
    await spoil(3);
    await using part = await PartBlob.open(image, { ...blob, signal });
    assert.equal(part.rechecked, 2);
    assert.deepEqual(
      indexes(part),
      [0, 1, 2, 4],
      "chunk 3 was hashed and dropped, chunk 1 was certain and not hashed again",
    );
    for (const index of [3, 5]) assert.ok(await part.write(index, blob.chunk(index)));
    await refused(part.finish(join(directory, "whole")), "unavailable", /^1 pieces of .* changed on the disk/);
    assert.deepEqual(indexes(part), [0, 2, 3, 4, 5]);
    assert.ok(await part.write(1, blob.chunk(1)));
    await part.finish(join(directory, "whole"));
    assert.deepEqual(await Deno.readFile(join(directory, "whole")), blob.bytes);
  }));

Deno.test("PartBlob with a damaged, shortened, foreign or missing note hashes all that is there, and keeps what is right", () =>
  withDirectory(async (directory) => {
    const [blob, other] = [randomBlob(5 * CHUNK_BYTES - 1), randomBlob(5 * CHUNK_BYTES - 1, 2)];
    const [path, foreign] = [join(directory, "a.part"), join(directory, "b.part")];
    const fill = async (at: string, { sha256, size, list, chunk }: RandomBlob) => {
      await using part = await PartBlob.open(at, { sha256, size, list, signal });
      for (const index of [0, 2, 4]) assert.ok(await part.write(index, chunk(index)));
    };
    await fill(path, blob);
    await fill(foreign, other);
    const note = await Deno.readFile(`${path}.have`);
    const damages: [string, Uint8Array | null][] = [
      ...[0, 20, 60, 81, note.length - 1].map((at): [string, Uint8Array] => [
        `byte ${at} changed`,
        note.with(at, (note[at] ?? 0) ^ 1),
      ]),
      ["a chunk claimed", note.with(88, (note[88] ?? 0) ^ 0x40)],
      ["shortened", note.subarray(0, -3)],
      ["empty", new Uint8Array()],
      ["too long", new Uint8Array(1 << 16)],
      ["foreign", await Deno.readFile(`${foreign}.have`)],
      ["missing", null],
    ];
    for (const [what, bytes] of damages) {
      if (bytes === null) await Deno.remove(`${path}.have`);
      else await Deno.writeFile(`${path}.have`, bytes);
      await using part = await PartBlob.open(path, { ...blob, signal });
      assert.deepEqual(indexes(part), [0, 2, 4], what);
    }
    // A data file of another blob has nothing for this one, whatever its note says.
    await Deno.copyFile(foreign, path);
    await Deno.remove(`${path}.have`);
    await using part = await PartBlob.open(path, { ...blob, signal });
    assert.deepEqual(indexes(part), []);
  }));

Deno.test("PartBlob with another list of chunks keeps what is right by that, and a wrong list installs nothing", () =>
  withDirectory(async (directory) => {
    const [blob, liar] = [randomBlob(3 * CHUNK_BYTES), randomBlob(3 * CHUNK_BYTES, 2)];
    const path = join(directory, "a.part");
    const lie = {
      size: blob.size,
      hashes: Uint8Array.from([...blob.list.hashes.subarray(0, 64), ...liar.list.hashes.subarray(64)]),
    };
    {
      await using part = await PartBlob.open(path, { ...blob, list: lie, signal });
      for (const index of [0, 1]) assert.ok(await part.write(index, blob.chunk(index)));
      assert.ok(!await part.write(2, blob.chunk(2)));
      assert.ok(await part.write(2, liar.chunk(2)));
      await refused(
        part.finish(join(directory, "whole")),
        "unavailable",
        /whoever told the digests of its pieces told wrong/,
      );
      assert.ok(part.have.full, "only another list helps");
    }
    await using part = await PartBlob.open(path, { ...blob, signal });
    assert.deepEqual(indexes(part), [0, 1]);
    assert.ok(await part.write(2, blob.chunk(2)));
    await part.finish(join(directory, "whole"));
    assert.deepEqual(await Deno.readFile(join(directory, "whole")), blob.bytes);
    await refused(
      PartBlob.open(path, { ...blob, list: { ...blob.list, size: 5 }, signal }),
      "bad_request",
      /a file of another size/,
    );
  }));

Deno.test("PartBlob is open once: a second pull and a second program are refused with a sentence", () =>
  withDirectory(async (directory) => {
    const blob = randomBlob(2 * CHUNK_BYTES);
    const [source, path, into] = ["source", "a.part", "whole"].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    await Deno.writeFile(source, blob.bytes);
    {
      await using part = await PartBlob.open(path, { ...blob, signal });
      await refused(
        PartBlob.open(path, { ...blob, signal }),
        "busy",
        /is being fetched already, by this node or by another/,
      );
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", PROGRAM, source, path, into, "1"],
        env: cleanEnvironment(),
        clearEnv: true,
      }).output();
      assert.equal(code, 1);
      assert.match(new TextDecoder().decode(stderr), /is being fetched already/);
      assert.ok(await part.write(0, blob.chunk(0)));
    }
    const { whole } = await killed([source, path, into, "1"], Infinity);
    assert.ok(whole);
  }));

Deno.test("PartBlob takes the same chunk from two lanes once, and gives up a pull that is ended", () =>
  withDirectory(async (directory) => {
    const blob = randomBlob(3 * CHUNK_BYTES);
    const path = join(directory, "a.part");
    {
      await using part = await PartBlob.open(path, { ...blob, signal });
      assert.deepEqual(await Promise.all([0, 0, 0].map((index) => part.write(index, blob.chunk(index)))), [
        true,
        true,
        true,
      ]);
      assert.equal(part.version, 1);
      assert.equal(part.bytes, CHUNK_BYTES);
    }
    await Deno.remove(`${path}.have`);
    const stop = new AbortController();
    const opening = PartBlob.open(path, { ...blob, signal: stop.signal });
    stop.abort();
    await assert.rejects(opening, { name: "AbortError" });
    await using part = await PartBlob.open(path, { ...blob, signal });
    await part.discard();
    assert.deepEqual(await Array.fromAsync(Deno.readDir(directory)), []);
    await refused(part.write(1, blob.chunk(1)), "cancelled", /not being fetched any more/);
  }));

Deno.test("PartBlob on a full disk says so, keeps what came, and goes on when there is room", () =>
  withTinyDisk(13 << 10, async (directory) => {
    const blob = randomBlob(3 * CHUNK_BYTES);
    const path = join(directory, "a.part");
    const ballast = join(directory, "ballast");
    await Deno.writeFile(ballast, new Uint8Array(3 << 20));
    {
      await using part = await PartBlob.open(path, { ...blob, signal });
      assert.ok(await part.write(0, blob.chunk(0)));
      assert.ok(await part.write(1, blob.chunk(1)));
      await refused(part.write(2, blob.chunk(2)), "unavailable", /^The disk is full: make room; what came is kept/);
      assert.deepEqual(indexes(part), [0, 1]);
    }
    await Deno.remove(ballast);
    await using part = await PartBlob.open(path, { ...blob, signal });
    assert.deepEqual(indexes(part), [0, 1]);
    await allRight(part, blob);
    assert.ok(await part.write(2, blob.chunk(2)));
    await part.finish(join(directory, "whole"));
    assert.deepEqual(await Deno.readFile(join(directory, "whole")), blob.bytes);
  }));

Deno.test("PartBlob says why where it cannot write: no folder, a folder in its place, a link in its place", () =>
  withDirectory(async (directory) => {
    const blob = randomBlob(CHUNK_BYTES);
    const open = (path: string) => PartBlob.open(path, { ...blob, signal });
    await refused(open(join(directory, "none", "a.part")), "unavailable", /^Cannot write .*a\.part \(ENOENT\)/);
    await Deno.mkdir(join(directory, "folder.part"));
    await refused(open(join(directory, "folder.part")), "unavailable", /^Cannot write .*folder\.part \(EISDIR\)/);
    await Deno.writeTextFile(join(directory, "victim"), "mine");
    await Deno.symlink(join(directory, "victim"), join(directory, "link.part"));
    await refused(open(join(directory, "link.part")), "unavailable", /link\.part is a link and no file: remove it/);
    assert.equal(await Deno.readTextFile(join(directory, "victim")), "mine");
    await assert.rejects(PartBlob.open(join(directory, "a.part"), { ...blob, sha256: "../x", signal }), TypeError);
    if (Deno.uid() === 0) {
      // deno-lint-ignore no-console
      console.log("Skipped in part: root may write into a folder that is read-only");
      return;
    }
    await Deno.mkdir(join(directory, "still"), { mode: 0o555 });
    await refused(open(join(directory, "still", "a.part")), "unavailable", /^Cannot write .* \(EACCES\)/);
  }));
