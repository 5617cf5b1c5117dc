/** Variables that a worker needs to find libraries, its cache and its GPU. */
const NAMES = new Set(
  ("PATH HOME LANG LC_ALL TZ TMPDIR TEMP TMP LD_LIBRARY_PATH DYLD_LIBRARY_PATH DENO_DIR XDG_CACHE_HOME XDG_RUNTIME_DIR " +
    "XDG_DATA_DIRS NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES HIP_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES " +
    "SYSTEMROOT WINDIR COMSPEC PATHEXT USERPROFILE LOCALAPPDATA APPDATA PROGRAMDATA PROGRAMFILES")
    .split(" "),
);
const PREFIXES = ["CUDA_", "GGML_", "VK_"];

/**
 * The environment of a worker: of the node's own only what the engine needs, so that no secret gets there and nothing
 * can steer it (`LD_PRELOAD`, `NODE_LLAMA_CPP_*`), and what the caller adds.
 */
export function workerEnvironment(
  own: Readonly<Record<string, string>>,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const kept = Object.entries(own).filter(([name]) => {
    const upper = name.toUpperCase();
    return NAMES.has(upper) || PREFIXES.some((prefix) => upper.startsWith(prefix));
  });
  return { ...Object.fromEntries(kept), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1", ...extra };
}

/** The node's own environment, or as much of it as the node may read. */
export function ownEnvironment(): Record<string, string> {
  try {
    return Deno.env.toObject();
  } catch {
    return Object.fromEntries([...NAMES].flatMap((name) => {
      const value = readable(name);
      return value === undefined ? [] : [[name, value]];
    }));
  }
}

function readable(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch {
    return undefined;
  }
}
