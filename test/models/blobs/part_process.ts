// deno-lint-ignore-file no-console
/**
 * Fills a part in a process of its own, which a test may kill: SOURCE PART INTO SEED. Six lanes, in random order; says `begun`,
 * the number of each chunk when it was written, and `whole` at the end.
 */
import { PartBlob } from "@ark/node/models";
import { Random } from "../../fuzz/random.ts";
import { blobOf } from "./random_blob.ts";

const [source = "", path = "", into = "", seed = "1"] = Deno.args;
const blob = blobOf(await Deno.readFile(source));
await using part = await PartBlob.open(path, { ...blob, signal: new AbortController().signal });
console.log("begun");
const random = new Random(Number(seed));
const missing = Array.from({ length: part.have.length }, (_, index) => index).filter((index) => !part.have.get(index));
const todo = missing.map((index) => ({ index, order: random.next() })).sort((a, b) => a.order - b.order).values();
const lane = async () => {
  for (const { index } of todo) {
    if (await part.write(index, blob.chunk(index))) console.log(index);
    // Now and then what came is made certain, so that some points are in the middle of that.
    if (random.once(4)) await part.sync();
  }
};
await Promise.all(Array.from({ length: 6 }, lane));
await part.finish(into);
console.log("whole");
