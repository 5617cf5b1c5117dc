/** Another user of the same machine (T15). */
import assert from "node:assert/strict";
import { FIXTURES, MODEL, TestNode } from "../mesh/test_node.ts";

const NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];

interface Finding {
  check: string;
  level: string;
  sentence: string;
}

async function asNobody(...command: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command("setpriv", { args: [...NOBODY, ...command], stdin: "null" })
    .output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

async function cannotBeAnother(): Promise<string | null> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "only root on Linux can act as another user";
  const who = await asNobody("id", "-u").catch(() => null);
  return who?.stdout.trim() === "65534" ? null : "there is no setpriv (package util-linux)";
}

/** Sends a request from a process of the other user. */
async function ask(port: number, request: string): Promise<string> {
  const script = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf '${request.replaceAll("\r\n", "\\r\\n")}' >&3; cat <&3`;
  return (await asNobody("bash", "-c", script)).stdout;
}

const reason = await cannotBeAnother();
// deno-lint-ignore no-console
if (reason !== null) console.log(`other_user_test: skipped, ${reason}`);

Deno.test({
  name: "T15: Another user of the machine can neither read what is secret nor make an admin call",
  ignore: reason !== null,
  async fn() {
    await using node = await TestNode.start({ name: "N", models: [FIXTURES], flags: { "require-keys": true } });
    await node.admin("/keys", { name: "phone" });
    const secrets = ["admin.token", "node.key", "node.db", "audit.log"];
    const files = (await Array.fromAsync(Deno.readDir(node.data))).filter(({ isDirectory }) => !isDirectory);
    for (const name of secrets) assert.ok(files.some((file) => file.name === name), name);
    for (const { name, isFile } of files) {
      // There is no socket that could be open to others instead: the loopback is the only way in.
      assert.ok(isFile, name);
      const { code, stderr, stdout } = await asNobody("cat", `${node.data}/${name}`);
      assert.notEqual(code, 0, name);
      assert.match(stderr, /Permission denied/);
      assert.equal(stdout, "");
    }
    // Also where the directory itself was opened by mistake, which the doctor says.
    await Deno.chmod(node.data, 0o755);
    for (const name of secrets) {
      assert.match((await asNobody("cat", `${node.data}/${name}`)).stderr, /Permission denied/, name);
    }
    const { findings } = (await node.admin<{ findings: Finding[] }>("/doctor")).body;
    const found = findings.find(({ check }) => check === "private-files");
    assert.equal(found?.level, "danger");
    assert.match(found?.sentence ?? "", /Other users of this machine can open the data directory .*\(mode 0755\)/);
    await Deno.chmod(node.data, 0o700);

    const { port } = node.daemon.api;
    const guess = `Authorization: Bearer ${"A".repeat(43)}\r\n`;
    for (const path of ["/status", "/keys", "/doctor", "/peers/discovered", "/audit/export", "/v1/models"]) {
      for (const field of ["", guess]) {
        const text = await ask(port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${field}Connection: close\r\n\r\n`);
        assert.match(text, /^HTTP\/1\.1 401 /, path);
        assert.ok(!text.includes(MODEL));
      }
    }
  },
});
