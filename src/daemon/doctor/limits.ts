import type { Finding } from "@ark/node/http";
import { readMemory } from "@ark/node/inference";
import { size } from "./size.ts";

const FEW_FILES = 1_024;
const LITTLE_SHARE = 0.05;

/** Open files and memory of this process. What cannot be told is left out. */
export async function limits({ refusing }: { refusing: string | null }): Promise<Finding[]> {
  return [...openFiles(await mostFiles()), ...memory(await readMemory(), { refusing })];
}

/** How many files this process may open at once, or null where that cannot be told. */
async function mostFiles(): Promise<number | null> {
  const text = await Deno.readTextFile("/proc/self/limits").catch(() => "");
  const [, most] = /^Max open files\s+(\d+)/m.exec(text) ?? [];
  return most === undefined ? null : Number(most);
}

function openFiles(most: number | null): Finding[] {
  const check = "open-files";
  if (most === null) return [];
  if (most >= FEW_FILES) {
    return [{ check, level: "ok", sentence: `${most} files and connections may be open at once` }];
  }
  return [{
    check,
    level: "warning",
    sentence: `Only ${most} files and connections may be open at once`,
    why: "When they are used up, apps and peers are turned away, and models cannot be read",
    fix: "Run 'ulimit -n 65536' before the start; a service made by 'ark-node service install' has LimitNOFILE=65536",
  }];
}

function memory(
  { totalBytes, availableBytes }: { totalBytes: number | null; availableBytes: number | null },
  { refusing }: { refusing: string | null },
): Finding[] {
  const check = "memory";
  if (refusing !== null) {
    return [{
      check,
      level: "warning",
      sentence: refusing.replace(/\.$/, ""),
      why: "Until there is memory again, requests of peers are refused",
      fix: "Close what takes memory, choose smaller models, or keep fewer of them: --max-loaded 1",
    }];
  }
  if (totalBytes === null || availableBytes === null || totalBytes === 0) return [];
  const sentence = `${size(availableBytes)} of ${size(totalBytes)} memory is free`;
  if (availableBytes / totalBytes >= LITTLE_SHARE) return [{ check, level: "ok", sentence }];
  return [{
    check,
    level: "warning",
    sentence: `Only ${sentence}`,
    fix: "Close what takes memory, choose smaller models, or keep fewer of them: --max-loaded 1",
  }];
}
