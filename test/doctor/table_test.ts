/** The table of checks says what there is, and the lines for people say what was found. */
import assert from "node:assert/strict";
import { CHECKS } from "@ark/node/daemon";
import type { Finding } from "@ark/node/http";
import { findingLines } from "../../src/cli/finding_lines.ts";

const SOURCE = new URL("../../src/daemon/doctor/", import.meta.url);

Deno.test("CHECKS has every check of the doctor and no other one, and its table has a row for each", async () => {
  const named = new Set<string>();
  for await (const { name } of Deno.readDir(SOURCE)) {
    if (name === "check_table.ts") continue;
    const text = await Deno.readTextFile(new URL(name, SOURCE));
    for (const [, check = ""] of text.matchAll(/\bcheck(?:: | = )"([a-z-]+)"/g)) named.add(check);
    for (const [, check = ""] of text.matchAll(/\b(?:const CHECK = |warning\(|\bname: )"([a-z-]+)"/g)) named.add(check);
  }
  assert.deepEqual([...named].toSorted(), Object.keys(CHECKS).toSorted());
  const table = await Deno.readTextFile(new URL("check_table.ts", SOURCE));
  const rows = table.split("\n").filter((line) => line.startsWith(" * | `")).map((line) => line.split("|")[1] ?? "");
  const listed = rows.flatMap((row) => [...row.matchAll(/`([a-z-]+)`/g)].map(([, check = ""]) => check));
  assert.deepEqual(listed.toSorted(), Object.keys(CHECKS).toSorted());
});

Deno.test("findingLines() shows groups, one line for each check, and under it why and what to do", () => {
  const found: Finding[] = [
    { check: "mesh-port", group: "ports", level: "danger", sentence: "It is taken", why: "So it is", fix: "Stop it" },
    { check: "clock", group: "machine", level: "warning", sentence: "It is late \u001b[31m", fix: "Set it" },
    { check: "node", group: "node", level: "ok", sentence: "It runs" },
  ];
  const lines = findingLines(found);
  assert.deepEqual(lines.map(({ text }) => text), [
    "Node",
    "  ok    It runs.",
    "",
    "Ports",
    "  FAIL  It is taken.",
    "          why  So it is.",
    "          do   Stop it.",
    "",
    "Machine",
    "  warn  It is late \\u001b[31m.",
    "          do   Set it.",
    "",
    "1 to mend (FAIL), 1 to look at (warn); 1 in order.",
  ]);
  assert.deepEqual(lines.filter(({ strong }) => strong).map(({ text }) => text.trim().slice(0, 4)), [
    "Node",
    "Port",
    "FAIL",
    "Mach",
    "warn",
  ]);
});
