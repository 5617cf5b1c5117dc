/** What the tests of the doctor share: a look, and what must be true of what it says. */
import assert from "node:assert/strict";
import { dataPaths } from "@ark/node/config";
import { CHECKS, examineStopped } from "@ark/node/daemon";
import type { Finding } from "@ark/node/http";
import { until } from "../inference/local_fixture.ts";
import type { TestNode } from "../mesh/test_node.ts";
import { cleanEnvironment, FROM_SOURCE } from "../support/node_process.ts";

/** What a running node says of itself. */
export async function look(node: TestNode): Promise<Finding[]> {
  const { status, body } = await node.admin<{ findings: Finding[] }>("/doctor");
  assert.equal(status, 200);
  return body.findings;
}

/** What is said where no node runs, with flags of serve. */
export function lookStopped(
  data: string,
  flags: Record<string, string | boolean | string[]> = {},
  env: Record<string, string> = {},
): Promise<Finding[]> {
  const usual = { listen: "127.0.0.1:0", "mesh-listen": "127.0.0.1:0", "no-mdns": true, wireguard: "off" };
  return examineStopped({ paths: dataPaths(data), flags: { ...usual, ...flags }, env: (name) => env[name] });
}

/** What the command prints, in a process of its own. */
export interface Printed {
  code: number;
  running: boolean;
  findings: Finding[];
}

/** Runs `ark-node doctor --json` behind other words, such as `ip netns exec …`. */
export async function runDoctor(
  before: readonly string[],
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Printed> {
  const [program = "", ...words] = [...before, ...FROM_SOURCE, "doctor", "--json", ...args];
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: words,
    env: { ...cleanEnvironment(), ...env },
    clearEnv: true,
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.ok(text.startsWith("{"), new TextDecoder().decode(stderr));
  return { code, ...JSON.parse(text) };
}

/** The one fault of a check, which names a fix. */
export function fault(findings: readonly Finding[], check: string): Finding & { fix: string } {
  const [found, ...more] = faults(findings, check);
  assert.ok(found !== undefined, `Nothing of ${check} in ${JSON.stringify(findings, null, 1)}`);
  assert.deepEqual(more, []);
  return { ...found, fix: found.fix ?? "" };
}

/** All faults of a check; each is a sentence with a fix, and in the table. */
export function faults(findings: readonly Finding[], check: string): Finding[] {
  assert.ok(Object.hasOwn(CHECKS, check), `${check} is in the table`);
  for (const { check, group, level, sentence, why, fix } of findings) {
    assert.equal(group, CHECKS[check as keyof typeof CHECKS], `${check} has its group`);
    for (const text of [sentence, ...why === undefined ? [] : [why], ...level === "ok" ? [] : [fix ?? ""]]) {
      assert.match(text, /^[A-Z0-9'][^\n]*[^.!?\n]$/i, `${check}: a sentence`);
    }
  }
  return findings.filter((one) => one.check === check && one.level !== "ok");
}

/** Fails where a check that is in order says otherwise. `said` wants it to have said something. */
export function fine(findings: readonly Finding[], check: string, { said = true } = {}): void {
  assert.deepEqual(faults(findings, check), []);
  if (said) assert.ok(findings.some((one) => one.check === check), `${check} says that it is in order`);
}

/** Looks until a check has a fault. */
export async function untilFault(
  find: () => Promise<readonly Finding[]>,
  check: string,
): Promise<Finding & { fix: string }> {
  let findings: readonly Finding[] = [];
  await until(async () => {
    findings = await find();
    return faults(findings, check).length > 0;
  });
  return fault(findings, check);
}
