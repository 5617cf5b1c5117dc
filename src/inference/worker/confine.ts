/** What no worker needs that was told which build of the engine to load. */
const NEVER_NEEDED = ["net", "write", "run", "import"] as const;
/** What loading the engine and a model needs, and answering does not. */
const NEEDED_TO_LOAD = ["read", "ffi", "sys", "env"] as const;

/** Gives up what no worker needs. Where the process was started without it, nothing changes. */
export async function confineBeforeLoading(): Promise<void> {
  for (const name of NEVER_NEEDED) await Deno.permissions.revoke({ name });
}

/** Gives up all there is: whoever answers prompts needs its streams and the libraries that are loaded, nothing else. */
export async function confineOnceLoaded(): Promise<void> {
  await confineBeforeLoading();
  for (const name of NEEDED_TO_LOAD) await Deno.permissions.revoke({ name });
}
