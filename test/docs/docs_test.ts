/** The documentation is true: its commands run, its settings are there, its links lead somewhere. */
import assert from "node:assert/strict";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../../src/cli/commands/mod.ts";
import { COMMON_FLAGS } from "../../src/cli/help.ts";
import { arkCalls, callFault } from "./command_lines.ts";
import { difference } from "./expected.ts";
import { withGenerated } from "./generated.ts";
import { type Page, parsePage } from "./page.ts";
import { readmeCalls, readmeLines } from "./readme.ts";
import { type PageResult, runPage } from "./run_page.ts";
import { Sandbox } from "./sandbox.ts";
import { parseYaml } from "./yaml.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Pages that run at the same time. */
const AT_ONCE = 3;
/** A page whose commands take longer hangs. */
const PAGE_LIMIT_MS = 8 * 60_000;

function pagePaths(directory: string): string[] {
  return Array.from(Deno.readDirSync(directory)).toSorted((a, b) => a.name.localeCompare(b.name)).flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory ? pagePaths(path) : entry.name.endsWith(".md") ? [path] : [];
  });
}

/** Programs that the pages take for granted and a machine may lack. */
const MISSING = ["bash", "curl", "script", "timeout"].filter((program) => {
  try {
    return !new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return true;
  }
});
if (MISSING.length > 0) {
  Deno.stdout.writeSync(new TextEncoder().encode(`The commands of docs/ are not run: ${MISSING.join(", ")} missing\n`));
}

const PAGES: readonly Page[] = pagePaths(join(ROOT, "docs")).map(read);

function read(path: string): Page {
  return parsePage(relative(ROOT, path), Deno.readTextFileSync(path));
}

Deno.test({
  name: "every block of docs/ and every command of the README runs as the page says, on two real nodes",
  // Every address of 127.0.0.0/8 is this machine on Linux alone, so that pages have the usual ports.
  ignore: Deno.build.os !== "linux" || MISSING.length > 0,
  async fn() {
    // The longest first, so that the last one does not run alone.
    const pages = PAGES.toSorted((a, b) => b.blocks.length - a.blocks.length);
    const left = [runReadme, ...pages.map((page) => () => runPage(page))];
    const results: PageResult[] = [];
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) results.push(await limited(next()));
    }));
    const lines = results.flatMap(({ notRun }) => notRun).toSorted().map((line) => `not run: ${line}\n`);
    Deno.stdout.writeSync(new TextEncoder().encode(lines.join("")));
    const faults = results.flatMap(({ faults }) => faults);
    assert.equal(faults.length, 0, `The documentation is wrong:\n\n${faults.join("\n\n")}`);
    assert.ok(results.reduce((sum, { checked }) => sum + checked, 0) > 100, "Hardly anything ran");
  },
});

/** The README shows much in short: each command of it is read, and runs by itself where it can. */
async function runReadme(): Promise<PageResult> {
  const page = read(join(ROOT, "README.md"));
  const lines = page.blocks.filter(({ language }) => language === "sh").flatMap(readmeLines);
  const result: PageResult = { faults: [], notRun: [], checked: lines.length };
  if (lines.length < 20) result.faults.push("README.md: it has hardly any command");
  await using sandbox = await Sandbox.make({ ...page, sandbox: "alone" });
  for (const { text, line, notRun } of lines) {
    for (const words of readmeCalls(text)) {
      const why = await callFault(words);
      if (why !== null) result.faults.push(`README.md:${line}: ${why}`);
    }
    if (notRun !== null) {
      result.notRun.push(`README.md:${line}: ${notRun} (${text.split("\n")[0]})`);
      continue;
    }
    const { code, output } = await sandbox.here.run(sandbox.actual(text, sandbox.here));
    if (code !== 0) result.faults.push(`README.md:${line}: it ended with ${code}: ${text}\n${output}`);
  }
  return result;
}

/** A page whose commands hang fails with a sentence. */
async function limited(work: Promise<PageResult>): Promise<PageResult> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("A page of the documentation is not done in time")), PAGE_LIMIT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

Deno.test("every link within docs/ and the README leads to a page, a file or a heading", () => {
  const pages = new Map([...PAGES, read(join(ROOT, "README.md"))].map((page) => [resolve(ROOT, page.name), page]));
  const faults: string[] = [];
  for (const [path, { name, links }] of pages) {
    for (const { target, line } of links.filter(({ target }) => !/^https?:/.test(target))) {
      const [file = "", anchor] = target.split("#");
      const to = file === "" ? path : resolve(dirname(path), file);
      const exists = Deno.statSync.bind(Deno);
      try {
        exists(to);
      } catch {
        faults.push(`${name}:${line}: there is no ${target}`);
        continue;
      }
      if (anchor !== undefined && !pages.get(to)?.anchors.has(anchor)) {
        faults.push(`${name}:${line}: there is no heading #${anchor} in ${relative(ROOT, to)}`);
      }
    }
  }
  assert.deepEqual(faults, []);
  const linked = new Set(
    [...pages].flatMap(([path, { links }]) =>
      links.map(({ target }) => resolve(dirname(path), target.split("#")[0] ?? ""))
    ),
  );
  const lost = PAGES.map(({ name }) => name).filter((name) =>
    !linked.has(resolve(ROOT, name)) && name !== "docs/README.md"
  );
  assert.deepEqual(lost, [], "No page leads there");
});

/** Flags of other programs that the pages speak of. */
const FOREIGN = new Set(["--key", "--network", "--filter", "--rollback", "--uninstall", "--service", "--show"]);

Deno.test("commands and flags that stand in a sentence are those of the program, too", async () => {
  const known = new Set([...COMMANDS.flatMap(({ flags }) => Object.keys(flags)), ...Object.keys(COMMON_FLAGS)]);
  const faults: string[] = [];
  for (const { name, codes } of [...PAGES, read(join(ROOT, "README.md"))]) {
    for (const { text, line } of codes) {
      const call = /^(?:sudo |docker exec \w+ )?(ark-node(?: .*)?)$/.exec(text)?.[1];
      // Placeholders such as KEY|ID are words and no pipe.
      const plain = call?.replaceAll(/[\[\]]/g, " ").replaceAll(/[|()]|…/g, "x");
      for (const words of plain === undefined ? [] : arkCalls(plain)) {
        const why = words.length === 0 || words[0] === "COMMAND" ? null : await callFault(words);
        if (why !== null) faults.push(`${name}:${line}: \`${text}\`: ${why}`);
      }
      for (const [flag] of call === undefined ? text.matchAll(/(?<![\w-])--[a-z][\w-]*/g) : []) {
        if (!known.has(flag.slice(2)) && !FOREIGN.has(flag)) faults.push(`${name}:${line}: there is no flag ${flag}`);
      }
    }
  }
  assert.deepEqual(faults, []);
});

Deno.test("the tables of settings, presets and commands are those of the program", () => {
  const plain = (text: string) => text.replaceAll(/ +/g, " ").replaceAll(/-+/g, "-");
  const source = Deno.readTextFileSync(join(ROOT, "docs/configuration.md"));
  assert.equal(plain(source), plain(withGenerated(source)), "Write them anew: deno run -A test/docs/write.ts");
});

Deno.test("the pages are written for people: no exclamation marks, no promises of a salesman", () => {
  for (const { name } of PAGES) {
    const text = Deno.readTextFileSync(join(ROOT, name)).replaceAll(/```[\s\S]*?```|<!--[\s\S]*?-->|`[^`]*`/g, "");
    assert.doesNotMatch(text, /!(?!\[)|\b(simply|just|powerful|seamless|blazing|easy)\b/i, name);
  }
});

Deno.test({
  name: "runPage() fails for a wrong command, flag, output, setting, language and client",
  ignore: Deno.build.os !== "linux" || MISSING.length > 0,
  fn: failsForAllThatIsWrong,
});

async function failsForAllThatIsWrong(): Promise<void> {
  const page = (text: string) => runPage(parsePage("wrong.md", text));
  const first = async (text: string) => (await page(text)).faults.join("\n");
  const fence = "```";
  const wrong = await first(`<!-- sandbox: off -->
${fence}sh
ark-node statsu
${fence}

${fence}sh
ark-node id --jsno
${fence}

${fence}sh
ark-node config check
${fence}

${fence}text
Something else …
${fence}

${fence}toml
keep-alife = "10m"
${fence}

${fence}ruby
puts 1
${fence}

<!-- test: client: litellm -->
${fence}yaml
model_list:
  - model_name: a
    litellm_params:
      model: llama3.1:8b
${fence}

<!-- test: exit: 3 -->
${fence}sh
ark-node status
${fence}
`);
  assert.match(wrong, /^wrong\.md:2: 'ark-node statsu': ark-node: There is no command statsu, did you mean status/m);
  assert.match(wrong, /^wrong\.md:6: .*Unknown flag --jsno, did you mean --json/m);
  assert.match(wrong, /^wrong\.md:2: it ended with 2 and not with 0/m);
  assert.match(
    wrong,
    /^wrong\.md:14: it printed something else than the page shows: there is no line "Something else …"/m,
  );
  assert.match(wrong, /^wrong\.md:18: .*unknown setting keep-alife, did you mean keep-alive/m);
  assert.match(wrong, /^wrong\.md:22: a block of the language "ruby" cannot run here: mark it/m);
  assert.match(wrong, /^wrong\.md:27: LiteLLM needs the prefix openai\//m);
  assert.doesNotMatch(wrong, /^wrong\.md:3[45]:/m);
  const marked = await page(
    `<!-- not run: no such machine -->\n${fence}sh\ndocker exec ark ark-node stauts\n${fence}\n`,
  );
  assert.match(marked.faults.join(), /There is no command stauts/);
  assert.deepEqual(marked.notRun, ["wrong.md:2: no such machine (docker exec ark ark-node stauts)"]);
}

Deno.test("arkCalls() finds what is called, and callFault() reads it as the program does", async () => {
  const calls = arkCalls(`sudo ark-node status # ark-node nothing
docker build -t ark-node . && docker run --name ark ark-node --models /m | tee 'ark-node x'
ark-node ask a \\
  "b; c" > d`);
  assert.deepEqual(calls, [["status"], ["--models", "/m"], ["ask", "a", "b; c"]]);
  for (const words of calls) assert.equal(await callFault(words), null);
  assert.match(await callFault(["peers", "approve", "--modles", "a"]) ?? "", /did you mean --models/);
});

Deno.test("difference() lets … stand for anything, and finds all else", () => {
  assert.equal(difference("a … c\n…\nend\n", "a b c\nmore\nlines\nend\n"), null);
  assert.equal(difference("a…\n", "a\r\n"), null);
  assert.match(difference("a\nb\n", "a\n") ?? "", /there is no line "b"/);
  assert.match(difference("a\n", "a\nb\n") ?? "", /there are more of them/);
  assert.match(difference("a\nb\n", "b\na\n") ?? "", /another order/);
});

Deno.test("parseYaml() reads what configurations use, and refuses what it does not know", () => {
  const text =
    `a: 1\nlist:\n  - x\n  - name: "y: z" # why\n    roles: [chat, 'edit']\n  -\n    deep:\n      on: true\nlast: http://h:1/v1\n`;
  assert.deepEqual(parseYaml(text), {
    a: 1,
    list: ["x", { name: "y: z", roles: ["chat", "edit"] }, { deep: { on: true } }],
    last: "http://h:1/v1",
  });
  for (const wrong of ["a: {b: 1}", "a: &x 1", "a: |\n  b", "a: 1\n  b: 2", "a: 1\na: 2", "\ta: 1"]) {
    assert.throws(() => parseYaml(wrong), SyntaxError, wrong);
  }
});
