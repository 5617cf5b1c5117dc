import { type Command, EXIT, textFlag, UsageError } from "../command.ts";
import { NodeClient } from "../node_client.ts";
import { TopFeed } from "../top/feed.ts";
import { lineText } from "../top/frame.ts";
import { TopLive } from "../top/live.ts";
import { TOP_KEYS, topLines } from "../top/view.ts";

/** Columns where no terminal says how wide it is. */
const WIDE = 160;

/** Shows the node as it works. */
export const TOP: Command = {
  name: "top",
  summary: "Watch this node: what runs, who asks, the neighbours, what happens",
  usage: "",
  flags: {
    once: { help: "print how it stands now, and end" },
    interval: { value: "SECONDS", help: "how often to look, 0.2 to 60 (default: 1)" },
  },
  details: `
Keys:
${TOP_KEYS.map(([key, what]) => `  ${key.padEnd(10)} ${what}`).join("\n")}

Where no person reads along it prints how the node stands once, as --once does. With --json it prints a line of JSON, and
another one each time it looks; with --once, one. It ends with 0 after q, 130 after Ctrl-C, 143 after SIGTERM.`,
  async run(context) {
    const { out, flags, words, json } = context;
    if (words.length > 0) throw new UsageError("The command top takes no words, only flags: ark-node top --once");
    const seconds = Number(textFlag(flags, "interval") ?? "1");
    if (!(seconds >= 0.2 && seconds <= 60)) throw new UsageError("Flag --interval is a number of seconds, 0.2 to 60");
    const node = await NodeClient.find(context);
    const feed = new TopFeed(node);
    const intervalMs = seconds * 1_000;
    if (json) {
      for (;;) {
        out.line(JSON.stringify(await feed.read()));
        if (flags.once === true || out.readerGone) return EXIT.ok;
        await new Promise((resolve) => setTimeout(resolve, intervalMs));
      }
    }
    if (out.cursor && flags.once !== true) return await new TopLive({ context, node, feed, intervalMs }).run();
    const columns = out.terminal ? out.size.columns : WIDE;
    const view = { columns, rows: null, chosen: null, filter: "", footer: "", asks: false };
    for (const line of topLines(await feed.read(), view)) out.line(lineText(line));
    return EXIT.ok;
  },
};
