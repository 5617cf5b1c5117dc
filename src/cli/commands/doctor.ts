import { examineStill } from "@ark/node/daemon";
import type { Finding } from "@ark/node/http";
import { escaped } from "@ark/node/telemetry";
import { type Command, EXIT } from "../command.ts";
import { NodeClient, pathsOf } from "../node_client.ts";

const MARKS = { danger: "DANGER ", warning: "warning", ok: "ok     " };

/** Says what is exposed and what is wrong. */
export const DOCTOR: Command = {
  name: "doctor",
  summary: "Say what is exposed or wrong, and what to do about it",
  usage: "",
  flags: {},
  details:
    "Exit status 1 when something is dangerous. Without a running node only files, environment and disk are looked at.",
  async run(context) {
    const { out, env } = context;
    const running = await NodeClient.runs(context);
    const findings = running
      ? (await (await NodeClient.find(context)).call<{ findings: Finding[] }>("/doctor")).findings
      : await examineStill(await pathsOf(context), env);
    if (context.json) out.json({ running, findings });
    else {
      for (const { level, sentence, fix } of findings) {
        out.line(`${MARKS[level]}  ${escaped(sentence, 400)}.`);
        if (fix !== undefined) out.line(`         ${escaped(fix, 400)}.`);
      }
      if (!running) out.line("The node does not run, so its listeners, peers and audit log were not looked at.");
    }
    return findings.some(({ level }) => level === "danger") ? EXIT.failed : EXIT.ok;
  },
};
