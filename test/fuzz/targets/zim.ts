import assert from "node:assert/strict";
import { clusterCache, MOST_BODY_BYTES, MOST_HITS, Pack, ZimBytes, ZimFile } from "@ark/node/content";
import { ArkError } from "@ark/node/protocol";
import { skyPack, zimBytes } from "../../support/zim_writer.ts";
import { mutateBytes } from "../mutate.ts";
import { type FuzzTarget, refusedBy, showBytes, shrinkBytes } from "../target.ts";

const CORPUS: Uint8Array[] = [
  skyPack(),
  skyPack({ packing: 1 }),
  skyPack({ wide: true }),
  zimBytes({
    items: [{ path: "a", body: "x".repeat(3_000) }, { path: "b", to: "a" }, { path: "c", to: "b" }],
    main: "c",
  }),
  zimBytes({
    old: true,
    main: "A/Home",
    items: [{ path: "A/Home", title: "Sky", body: "x" }, { path: "A/Sky", to: "A/Home" }, {
      path: "I/p",
      type: "image/png",
      body: "p",
    }],
    facts: { Title: "Old", Counter: "text/html=1" },
  }),
];

const PATHS = ["", "Sky", "Sea", "Skies", "img/dot.png", "style.css", "a", "b", "A/Home", "A/Sky", "none"];

async function check(bytes: Uint8Array): Promise<boolean> {
  const source = new ZimBytes(bytes);
  // One that is kept would give a body of another input.
  const cache = clusterCache();
  let pack: Pack;
  try {
    pack = await Pack.open({ name: "fuzz", source, cache });
  } catch (error) {
    return refusedBy(error, SyntaxError);
  }
  let sound = true;
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      if (error instanceof ArkError && error.code === "model_not_found") return;
      sound = false;
      assert.ok(error instanceof ArkError && error.code === "unavailable", String(error));
    }
  };
  for (const path of PATHS) {
    await attempt(async () => {
      const answer = await pack.page(path);
      if (answer.kind === "elsewhere") return;
      assert.ok(answer.body.length <= MOST_BODY_BYTES);
      // Whatever a file says, it is no second line of a header.
      assert.match(answer.type, /^[\x21-\x7e]+(?:; charset=[\w-]+)?$/);
      assert.match(answer.tag, /^[0-9a-f]{32}-\d+$/);
    });
  }
  for (const text of ["S", "the", "x"]) {
    await attempt(async () => {
      const hits = await pack.search(text);
      assert.ok(hits.length <= MOST_HITS);
      assert.ok(hits.every(({ title }) => !/\p{Cc}/u.test(title)));
    });
  }
  const file = await ZimFile.open(source, { cache });
  for (const path of PATHS) {
    const entry = await file.find("C", path).catch((error) => refusedBy(error, SyntaxError) || undefined);
    if (entry) assert.equal(entry.path, path);
  }
  return sound;
}

/** Content packs. */
export const zim: FuzzTarget<Uint8Array> = {
  name: "zim",
  promise: "A pack is refused with a SyntaxError, or its pages and titles are read or refused, each within its limits.",
  corpus: CORPUS,
  covers: ["/src/content/zim/", "/src/content/pack.ts"],
  mutate: (random, bytes, other) => mutateBytes(random, bytes, other),
  check,
  show: showBytes,
  shrink: shrinkBytes,
};
