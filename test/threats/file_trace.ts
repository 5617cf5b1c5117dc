/** Which files a node opens, by strace. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { NodeProcess } from "../support/node_process.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** System calls that read, make, change, move or remove a file, or run it; not those that merely look. */
const CALLS = "open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat," +
  "symlink,symlinkat,truncate,chmod,fchmodat,chown,fchownat,mknod,mknodat,execve,execveat";

/** The beginning of a command line whose calls are written to a file. */
export function straceTo(file: string): string[] {
  return ["strace", "-f", "-y", "-qq", "-s", "4096", "-e", `trace=${CALLS}`, "-o", file];
}

/** Files that the calls of a trace name, as absolute paths; calls on nothing are left out. */
export function pathsOf(trace: string): string[] {
  const paths: string[] = [];
  for (const line of trace.split("\n")) {
    const call = /^\d+ +\w+\((.*)$/.exec(line)?.[1];
    if (call === undefined) continue;
    for (
      const [, folder, text = ""] of call.matchAll(/(?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"/g)
    ) {
      // The arguments of a program that is run are no files; the program itself is.
      paths.push(resolve(folder ?? ROOT, text));
      if (line.includes("execve(")) break;
    }
  }
  return paths;
}

/** Stops a node that is being traced: strace hands signals on to nobody. */
export function ending(node: NodeProcess): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      Deno.kill(node.ready.pid, "SIGTERM");
      await node.ended();
    },
  };
}

/** Why nothing can be traced here, as a sentence, or null. */
export async function canTrace(): Promise<string | null> {
  if (Deno.build.os !== "linux") return "strace, which lists the files that are opened, needs Linux";
  try {
    const { success } = await new Deno.Command("strace", { args: ["-f", "-o", "/dev/null", "true"] }).output();
    return success ? null : "strace may not trace here";
  } catch {
    return "strace, which lists the files that are opened, is not installed";
  }
}
