/**
 * Keeps a crash of this process from writing a core file, which would hold prompts and the key. A process cannot limit
 * itself from Deno, so prlimit of util-linux does it; the launcher of a portable executable has done it before.
 *
 * Not covered: systems without prlimit, macOS' own crash reports, and swap. Where the kernel pipes cores to a program,
 * systemd-coredump and apport keep none of a process with this limit; another program may.
 */
export async function forbidCoreFiles(pid: number = Deno.pid): Promise<void> {
  if (Deno.build.os !== "linux") return;
  try {
    const args = ["--pid", String(pid), "--core=0:0"];
    await new Deno.Command("prlimit", { args, stdin: "null", stdout: "null", stderr: "null" }).output();
  } catch {
    // There is no such program, or this process may run none.
  }
}
