/** Our reader beside openZIM's own programs, where the machine has them: zim-tools and kiwix-tools of Debian. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Pack, ZimFile, ZimFileSource } from "@ark/node/content";
import { withDirectory } from "../support/temporary.ts";
import { PIXEL, skyPack } from "../support/zim_writer.ts";
import { freePort } from "../support/server_port.ts";

async function missing(program: string): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" })
      .output();
    return !success;
  } catch {
    return true;
  }
}

const [noTools, noServer] = [await missing("zimdump"), await missing("kiwix-serve")];
// deno-lint-ignore no-console
if (noTools) console.log("zim_tools_test: not beside zimdump and zimwriterfs, which are not here (package zim-tools)");
// deno-lint-ignore no-console
if (noServer) console.log("zim_tools_test: not beside kiwix-serve, which is not here (package kiwix-tools)");

async function run(program: string, ...args: string[]): Promise<Uint8Array<ArrayBuffer>> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, `${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return stdout;
}

async function runText(program: string, ...args: string[]): Promise<string> {
  return new TextDecoder().decode(await run(program, ...args));
}

Deno.test({
  name: "What our writer writes, zimdump reads as we do",
  ignore: noTools,
  async fn() {
    await withDirectory(async (directory) => {
      for (const more of [{}, { packing: 1 }, { wide: true }]) {
        const path = join(directory, "sky.zim");
        await Deno.writeFile(path, skyPack(more));
        assert.match(await runText("zimdump", "info", path), /main page: +(?:C\/)?Sea/);
        assert.match(await runText("zimdump", "show", "--url=Sky", path), /It is blue/);
        assert.deepEqual(await run("zimdump", "show", "--url=img/dot.png", path), PIXEL);
      }
    });
  },
});

/** A folder with pages, and a pack that openZIM's own program made of it. */
async function made(directory: string): Promise<{ pages: Map<string, Uint8Array>; path: string }> {
  const root = join(directory, "html");
  await Deno.mkdir(join(root, "sub"), { recursive: true });
  const pages = new Map<string, Uint8Array>([["dot.png", PIXEL]]);
  for (let index = 0; index < 300; index++) {
    const name = index % 3 === 0 ? `sub/p${index}.html` : `p${index}.html`;
    const filler = `${index} `.repeat(index * 20);
    const html =
      `<!DOCTYPE html><html><head><title>Page number ${index}</title></head><body><p>${filler}</p></body></html>`;
    pages.set(name, new TextEncoder().encode(html));
  }
  for (const [name, bytes] of pages) await Deno.writeFile(join(root, name), bytes);
  const path = join(directory, "made.zim");
  const facts = ["--language=eng", "--title=Made", "--description=By zimwriterfs", "--creator=c", "--publisher=p"];
  await run("zimwriterfs", "--welcome=p1.html", "--illustration=dot.png", "--withoutFTIndex", ...facts, root, path);
  return { pages, path };
}

Deno.test({
  name: "Pack reads each page, title and fact of a file that zimwriterfs made",
  ignore: noTools,
  async fn() {
    await withDirectory(async (directory) => {
      const { pages, path } = await made(directory);
      await using source = await ZimFileSource.open(path);
      const pack = await Pack.open({ name: "made", source });
      assert.equal(pack.info.title, "Made");
      assert.equal(pack.info.language, "eng");
      assert.equal(pack.info.articles, 300);
      assert.deepEqual(await pack.page(""), { kind: "elsewhere", path: "p1.html" });
      for (const [name] of pages) {
        const page = await pack.page(name);
        assert.ok(page.kind === "page", name);
        // The writer mends what it packs, so zimdump says what is right.
        if (name.length % 7 === 0 || name === "dot.png") {
          assert.deepEqual(page.body, await run("zimdump", "show", `--url=${name}`, path), name);
        }
        assert.equal(page.type.split(";")[0], name.endsWith("png") ? "image/png" : "text/html");
      }
      const found = await pack.search("page number 29");
      assert.deepEqual(found.map(({ title }) => title).toSorted(), [
        "Page number 29",
        ...Array.from({ length: 10 }, (_, digit) => `Page number 29${digit}`),
      ]);
      // Every entry of the file, by number and by path.
      const file = await ZimFile.open(source);
      for (let index = 0; index < file.header.entryCount; index++) {
        const entry = await file.entry(index);
        assert.equal((await file.find(entry.namespace, entry.path))?.index, index);
      }
    });
  },
});

Deno.test({
  name: "kiwix-serve gives the same pages of our writer's pack as we do",
  ignore: noServer,
  async fn() {
    await withDirectory(async (directory) => {
      const path = join(directory, "sky.zim");
      await Deno.writeFile(path, skyPack());
      await using source = await ZimFileSource.open(path);
      const pack = await Pack.open({ name: "sky", source });
      const port = freePort();
      const child = new Deno.Command("kiwix-serve", {
        args: [`--port=${port}`, "--address=127.0.0.1", "--nolibrarybutton", path],
        stdout: "null",
        stderr: "null",
      }).spawn();
      try {
        const base = `http://127.0.0.1:${port}`;
        const deadline = performance.now() + 20_000;
        const get = async (path: string) => {
          for (;;) {
            try {
              return await fetch(base + path);
            } catch (error) {
              assert.ok(performance.now() < deadline, String(error));
              await new Promise((resolve) => setTimeout(resolve, 50));
            }
          }
        };
        for (const name of ["Sky", "Sea", "img/dot.png", "style.css"]) {
          // Older servers have no /content before the name of the book.
          let response = await get(`/raw/sky/content/${name}`);
          if (!response.ok) {
            await response.body?.cancel();
            response = await get(`/sky/${name}`);
          }
          assert.equal(response.status, 200, name);
          const ours = await pack.page(name);
          assert.ok(ours.kind === "page");
          assert.deepEqual(await response.bytes(), ours.body, name);
          assert.equal(response.headers.get("content-type")?.split(";")[0], ours.type.split(";")[0]);
        }
      } finally {
        child.kill("SIGKILL");
        await child.status;
      }
    });
  },
});
