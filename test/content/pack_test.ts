import assert from "node:assert/strict";
import { join } from "node:path";
import { isPackName, Pack, PackShelf, ZimBytes, ZimFile } from "@ark/node/content";
import { withDirectory } from "../support/temporary.ts";
import { PIXEL, skyPack, zimBytes } from "../support/zim_writer.ts";

function open(bytes: Uint8Array): Promise<Pack> {
  return Pack.open({ name: "sky", source: new ZimBytes(bytes) });
}

async function textAt(pack: Pack, path: string): Promise<string> {
  const answer = await pack.page(path);
  assert.equal(answer.kind, "page");
  return answer.kind === "page" ? new TextDecoder().decode(answer.body) : "";
}

for (
  const [what, more] of [["packed", {}], ["not packed", { packing: 1 }], ["with wide offsets", { wide: true }]] as const
) {
  Deno.test(`Pack gives pages, redirects, pictures and facts of a file ${what}`, async () => {
    const bytes = skyPack(more);
    const pack = await open(bytes);
    assert.deepEqual(pack.info, {
      name: "sky",
      uuid: "01".padEnd(32, "0"),
      title: "All of the sky",
      description: "Weather for beginners",
      language: "eng",
      date: "2026-01-02",
      articles: 3,
      size: bytes.length,
    });
    assert.deepEqual(await pack.page(""), { kind: "elsewhere", path: "Sea" });
    assert.deepEqual(await pack.page("Skies"), { kind: "elsewhere", path: "Sky" });
    assert.match(await textAt(pack, "Sky"), /It is blue/);
    assert.equal(await textAt(pack, "Ünder/ground?"), "<p>Tief");
    const picture = await pack.page("img/dot.png");
    assert.ok(picture.kind === "page" && picture.type === "image/png");
    assert.deepEqual(picture.body, PIXEL);
    const style = await pack.page("style.css");
    assert.ok(style.kind === "page" && style.type === "text/css; charset=utf-8" && style.tag !== picture.tag);
    for (const none of ["sky", "Sky/", "Skyx", "M/Title", "W/mainPage", "../Sky", "/etc/passwd", "x".repeat(5_000)]) {
      await assert.rejects(pack.page(none), { code: "model_not_found" });
    }
  });
}

Deno.test("Pack.search() finds pages by how their titles begin, in either case, and no pictures", async () => {
  const pack = await open(skyPack());
  const titles = async (text: string) => (await pack.search(text)).map(({ title }) => title);
  assert.deepEqual(await titles("the s"), ["The sky"]);
  assert.deepEqual(await titles("S"), ["Sea", "Skies"]);
  assert.deepEqual(await pack.search("ski"), [{ path: "Skies", title: "Skies" }]);
  assert.deepEqual(await pack.search("über"), [{ path: "Ünder/ground?", title: "Über uns" }]);
  for (const none of ["", "img", "zzz", "\uffff", "x".repeat(10_000)]) assert.deepEqual(await titles(none), []);
});

Deno.test("Pack reads files of before 2021, where each kind has a namespace of its own", async () => {
  const pack = await open(zimBytes({
    old: true,
    main: "A/Home",
    items: [
      { path: "A/Home", title: "Home", body: "<a href=Sky>" },
      { path: "A/Sky", title: "Sky", body: "blue" },
      { path: "A/Heaven", title: "Heaven", to: "A/Sky" },
      { path: "I/Sky.png", title: "Sky picture", type: "image/png", body: PIXEL },
    ],
    facts: { Title: "Old" },
  }));
  assert.equal(pack.info.title, "Old");
  assert.deepEqual(await pack.page(""), { kind: "elsewhere", path: "A/Home" });
  assert.deepEqual(await pack.page("A/Heaven"), { kind: "elsewhere", path: "A/Sky" });
  assert.equal(await textAt(pack, "A/Sky"), "blue");
  assert.deepEqual(await pack.search("s"), [{ path: "A/Sky", title: "Sky" }]);
  await assert.rejects(pack.page("Sky"), { code: "model_not_found" });
});

Deno.test("ZimFile.find() finds each of two thousand entries, whose paths are in the order of their bytes", async () => {
  const paths = Array.from(
    { length: 2_000 },
    (_, index) => `${[..."aZ\u{10400}\uff5aé"][index % 5] ?? "-"}${index * 7919 % 2_000}`,
  );
  const items = paths.map((path) => ({ path, body: path }));
  const file = await ZimFile.open(new ZimBytes(zimBytes({ items })));
  for (const path of paths) {
    const entry = await file.find("C", path);
    assert.ok(entry, path);
    assert.equal(new TextDecoder().decode(await file.body(entry) ?? undefined), path);
  }
  assert.equal(await file.find("C", "a"), undefined);
  assert.equal(await file.find("D", paths[0] ?? ""), undefined);
});

Deno.test("Pack says of a file that it cannot read why", async () => {
  await assert.rejects(open(new Uint8Array(10)), /shorter than it says/);
  await assert.rejects(open(new Uint8Array(200)), /does not begin as a ZIM file/);
  await assert.rejects(open(skyPack().slice(0, 300)), /shorter than it says|leads out of the file/);
  await assert.rejects(open(skyPack({ packing: 4 })), /until 2020 \(xz\), which is not read: fetch a newer one/);
  await assert.rejects(open(skyPack({ packing: 3 })), /a way that is not known/);
});

Deno.test("Pack refuses a body that unpacks into more than a cluster may have", async () => {
  const bomb = zimBytes({ items: [{ path: "bomb", body: new Uint8Array(65 << 20) }, { path: "a", body: "a" }] });
  assert.ok(bomb.length < 1 << 20);
  const pack = Pack.open({ name: "bomb", source: new ZimBytes(bomb) });
  await assert.rejects((await pack).page("bomb"), { code: "unavailable", message: /larger than this node reads/ });
  const large = zimBytes({ items: [{ path: "large", body: new Uint8Array(33 << 20) }] });
  const other = await Pack.open({ name: "large", source: new ZimBytes(large) });
  await assert.rejects(other.page("large"), { code: "unavailable", message: /32 MiB/ });
});

Deno.test("PackShelf lists what is in its folders, and goes with what comes and goes", async () => {
  await withDirectory(async (directory) => {
    const warned: unknown[] = [];
    const logger = { info: () => {}, warn: (...line: unknown[]) => void warned.push(line) };
    await using shelf = new PackShelf({ directories: [directory, join(directory, "none")], logger });
    const names = async () => {
      await shelf.refresh();
      return shelf.list().map(({ info }) => info.name);
    };
    await Deno.writeFile(join(directory, "sky_en.zim"), skyPack());
    await Deno.writeTextFile(join(directory, "bad.zim"), "no pack");
    await Deno.writeFile(join(directory, "a name.zim"), skyPack());
    assert.deepEqual(await names(), ["sky_en"]);
    assert.equal(warned.length, 3, "The damaged one, the bad name and the missing folder");
    const pack = shelf.find("SKY_en");
    assert.ok(pack);
    await Deno.writeFile(join(directory, "b.zim"), skyPack({ uuid: 2 }));
    await Deno.remove(join(directory, "sky_en.zim"));
    assert.deepEqual(await names(), ["b"]);
    assert.match(await textAt(shelf.find("b") ?? assert.fail(), "Sky"), /blue/);
    assert.equal(shelf.find("sky_en"), undefined);
  });
});

Deno.test("isPackName() refuses what could be a path", () => {
  for (const good of ["a", "wikipedia_en_all_maxi_2024-01", "A.b+c"]) assert.ok(isPackName(good), good);
  for (const bad of ["", ".", "..", "a/b", "a\\b", "~x", "a..b", "search", "a b", "é", "x".repeat(200), "-a", "a\n"]) {
    assert.ok(!isPackName(bad), bad);
  }
});
