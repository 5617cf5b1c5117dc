/** What a program of the system printed, or why it did not; `missing` where there is none of that name here. */
export type ToolAnswer =
  | { readonly kind: "printed"; readonly text: string }
  | { readonly kind: "missing" }
  | { readonly kind: "failed"; readonly why: string };

/** Asks a program of the system. */
export type RunTool = typeof runTool;

/** No answer is longer that makes sense, in bytes. */
const MOST_BYTES = 64 << 10;
/** One that has not answered by then is ended, in milliseconds. */
const LONGEST_MS = 4_000;

/** Variables that say where the owner's session is, and nothing else. */
const VARIABLES = [
  "PATH",
  "DISPLAY",
  "XAUTHORITY",
  "WAYLAND_DISPLAY",
  "XDG_RUNTIME_DIR",
  "DBUS_SESSION_BUS_ADDRESS",
  "SystemRoot",
];

/** Runs a program, without input, for some seconds at most, and reads the beginning of what it prints. Never rejects. */
export async function runTool(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<ToolAnswer> {
  const enough = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]);
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: [...args],
      env: environment(),
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { kind: "missing" };
    return { kind: "failed", why: `this node may not run ${program}` };
  }
  const end = () => {
    try {
      // One that ignores a request to end would stay behind, and the next one beside it.
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
  };
  enough.addEventListener("abort", end);
  if (enough.aborted) end();
  try {
    const text = await beginning(child.stdout, enough);
    const { success } = await child.status;
    if (enough.aborted) return { kind: "failed", why: `${program} does not answer` };
    if (text === null) return { kind: "failed", why: `${program} prints too much` };
    return success ? { kind: "printed", text } : { kind: "failed", why: `${program} fails` };
  } finally {
    enough.removeEventListener("abort", end);
  }
}

/** All that a stream has, or null where that is too much; the rest is thrown away. A grandchild may hold it open for ever. */
async function beginning(stream: ReadableStream<Uint8Array>, enough: AbortSignal): Promise<string | null> {
  const reader = stream.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  enough.addEventListener("abort", stop);
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  try {
    if (enough.aborted) stop();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size <= MOST_BYTES) text += decoder.decode(value, { stream: true });
    }
  } catch {
    return "";
  } finally {
    enough.removeEventListener("abort", stop);
  }
  return size > MOST_BYTES ? null : text;
}

function environment(): Record<string, string> {
  const found: Record<string, string> = { LC_ALL: "C" };
  for (const name of VARIABLES) {
    const value = Deno.env.get(name);
    if (value !== undefined) found[name] = value;
  }
  return found;
}
