import type { GpuChoice } from "@ark/node/inference";
import type { Finding } from "@ark/node/http";

/** What is there of GPUs on a Linux machine. */
export interface GpuFacts {
  /** Makers of graphics cards on the bus: those of PCI's own list. */
  makers: ReadonlySet<string>;
  /** Version of NVIDIA's kernel module, or null where it is not loaded. */
  driver: string | null;
  /** NVIDIA's devices: there and open for this user, closed for him, or not there. */
  devices: Access;
  /** Whether NVIDIA's library for computing is there. */
  library: boolean;
  /** Devices of other GPUs (`/dev/dri/renderD…`): the same. */
  render: Access;
  /** What the environment hides, as the name of a variable, or null. */
  hiddenBy: string | null;
  /** Whether this is a container. */
  container: boolean;
}

/** Whether a device can be opened. */
export type Access = "open" | "closed" | "missing";

/** What {@linkcode gpuFindings} needs to know of the node. */
export interface GpuWish {
  /** What the owner chose. */
  asked: GpuChoice;
  /** What computes now, as far as a model was loaded: a layer, false for the processor, null where it is not known. */
  used: string | false | null;
}

const NVIDIA = "0x10de";
const AMD = "0x1002";
const INTEL = "0x8086";
const LIBRARIES = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib64",
  "/usr/lib",
  "/lib/x86_64-linux-gnu",
  "/usr/lib/wsl/lib",
  "/usr/local/nvidia/lib64",
  "/usr/local/cuda/compat",
  "/run/opengl-driver/lib",
];

/**
 * Looks at GPUs as the kernel shows them. Null where that cannot be seen: on other systems, and where this program may not
 * read `/sys`.
 *
 * @param root put before every path
 */
export async function gpuFacts(
  env: (name: string) => string | undefined,
  { root = "" }: { root?: string } = {},
): Promise<GpuFacts | null> {
  if (Deno.build.os !== "linux") return null;
  // Without the right to read there, nothing that is said below would be true.
  if (await Deno.readTextFile(`${root}/proc/self/limits`).then(() => false, () => root === "")) return null;
  const makers = await cards(root);
  const version = await Deno.readTextFile(`${root}/proc/driver/nvidia/version`).catch(() => null);
  const render = await names(`${root}/dev/dri`, /^renderD\d+$/);
  const libraries = [...LIBRARIES, ...(env("LD_LIBRARY_PATH") ?? "").split(":").filter((path) => path.startsWith("/"))];
  const found = await Promise.all(
    libraries.map((folder) => Deno.stat(`${root}${folder}/libcuda.so.1`).then(() => true, () => false)),
  );
  return {
    makers,
    driver: version === null ? null : /\b(\d{3,}\.[\d.]+)\b/.exec(version)?.[1] ?? "unknown",
    devices: await accessTo([`${root}/dev/nvidiactl`, `${root}/dev/nvidia0`]),
    library: found.some((one) => one),
    render: render.length === 0 ? "missing" : await accessTo(render.slice(0, 1)),
    hiddenBy: hidden(env),
    container: await inContainer(env, { root }),
  };
}

/** Whether this process is inside a container. */
export async function inContainer(
  env: (name: string) => string | undefined,
  { root = "" }: { root?: string } = {},
): Promise<boolean> {
  if ((env("KUBERNETES_SERVICE_HOST") ?? "") !== "" || (env("container") ?? "") !== "") return true;
  const marks = [`${root}/.dockerenv`, `${root}/run/.containerenv`];
  return (await Promise.all(marks.map((path) => Deno.stat(path).then(() => true, () => false)))).some((one) => one);
}

/** What that means for models, with the way out. Pure. */
export function gpuFindings(facts: GpuFacts | null, { asked, used }: GpuWish): Finding[] {
  const check = "gpu";
  const cpu = "Models run on the processor, which is many times slower";
  const warning = (sentence: string, fix: string, why = cpu): Finding[] => [
    { check, level: "warning", sentence, why, fix },
  ];
  if (asked === "off") {
    return [{ check, level: "ok", sentence: "Models run on the processor, as you set it (--gpu off)" }];
  }
  if (typeof used === "string") return [{ check, level: "ok", sentence: `Models run on the GPU (${used})` }];
  if (facts === null) return [];
  const { makers, driver, devices, library, render, hiddenBy, container } = facts;
  const nvidia = makers.has(NVIDIA) || driver !== null || devices !== "missing";
  if (nvidia && asked !== "vulkan") {
    if (hiddenBy !== null) {
      return warning(
        `The NVIDIA GPU is hidden by the variable ${hiddenBy}`,
        `Unset ${hiddenBy}, and start the node again`,
      );
    }
    if (driver === null) {
      return warning(
        "There is an NVIDIA GPU, and its driver is not loaded",
        "Install it (Debian and Ubuntu: sudo apt install nvidia-driver), and start the machine again",
      );
    }
    if (devices === "missing") {
      return warning(
        `NVIDIA's driver ${driver} is loaded, and this ${container ? "container" : "machine"} has none of its devices`,
        container
          ? "Start the container with --gpus all; NVIDIA's container toolkit must be installed beside Docker"
          : "Make them: sudo nvidia-modprobe -u -c 0",
      );
    }
    if (devices === "closed") {
      return warning(
        "This user may not open the devices of the NVIDIA GPU (/dev/nvidia0)",
        'Put the user that runs the node into their group: sudo usermod -aG video,render "$USER", and log in again',
      );
    }
    if (!library) {
      return warning(
        `NVIDIA's driver ${driver} is loaded, and its library libcuda.so.1 is missing`,
        container
          ? "Start the container with --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility"
          : "Install it (Debian and Ubuntu: sudo apt install libcuda1), or add its folder to LD_LIBRARY_PATH",
      );
    }
    if (used === false) return idle("NVIDIA", driver);
    return [{ check, level: "ok", sentence: `There is an NVIDIA GPU, with its driver ${driver}` }];
  }
  if (asked === "cuda") {
    return [{
      check,
      level: "danger",
      sentence: "The node is to compute with CUDA (--gpu cuda), and there is no NVIDIA GPU here",
      why: "No model can be loaded",
      fix: "Leave --gpu at auto, which takes what there is",
    }];
  }
  if (asked === "metal") {
    return [{
      check,
      level: "danger",
      sentence: "The node is to compute with Metal (--gpu metal), which only macOS has",
      why: "No model can be loaded",
      fix: "Leave --gpu at auto, which takes what there is",
    }];
  }
  if (render === "closed") {
    return warning(
      "This user may not open the GPU (/dev/dri)",
      'Put the user that runs the node into its group: sudo usermod -aG render,video "$USER", and log in again',
    );
  }
  if (makers.has(AMD) && render === "missing") {
    return warning(
      "There is an AMD GPU, and it has no device (/dev/dri)",
      container
        ? "Start the container with --device /dev/dri --device /dev/kfd"
        : "Load its driver: sudo modprobe amdgpu; it needs the package firmware-amd-graphics on Debian",
    );
  }
  if (asked === "vulkan" && render === "missing") {
    return [{
      check,
      level: "danger",
      sentence: "The node is to compute with Vulkan (--gpu vulkan), and there is no GPU device here (/dev/dri)",
      why: "No model can be loaded",
      fix: "Leave --gpu at auto, which takes what there is",
    }];
  }
  if (makers.has(AMD) && used === false) return idle("AMD", "amdgpu");
  const sentence = render === "open"
    ? "There is a GPU that Vulkan may be able to use"
    : "There is no GPU to compute with";
  return [{
    check,
    level: "ok",
    sentence: `${sentence}; models run ${render === "open" ? "there or " : ""}on the processor`,
  }];

  function idle(maker: string, version: string): Finding[] {
    return warning(
      `There is an ${maker} GPU with its driver ${version}, and the engine does not use it`,
      "Use a variant of ark-node for it (./compile.sh --help, --variant), and see the log for what the engine says",
    );
  }
}

async function cards(root: string): Promise<Set<string>> {
  const folder = `${root}/sys/bus/pci/devices`;
  const read = (path: string) => Deno.readTextFile(path).then((text) => text.trim(), () => "");
  const makers = new Set<string>();
  await Promise.all(
    (await names(folder, /^[0-9a-f:.]+$/i)).slice(0, 1_024).map(async (device) => {
      // 03: display controllers.
      if (!(await read(`${device}/class`)).startsWith("0x03")) return;
      const maker = await read(`${device}/vendor`);
      if ([NVIDIA, AMD, INTEL].includes(maker)) makers.add(maker);
    }),
  );
  return makers;
}

async function names(folder: string, pattern: RegExp): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.filter(({ name }) => pattern.test(name)).map(({ name }) => `${folder}/${name}`).sort();
  } catch {
    return [];
  }
}

async function accessTo(paths: readonly string[]): Promise<Access> {
  const states = await Promise.all(
    paths.map((path) =>
      Deno.open(path, { read: true, write: true }).then(
        (device) => {
          device.close();
          return "open" as const;
        },
        (error) => error instanceof Deno.errors.PermissionDenied ? "closed" as const : "missing" as const,
      )
    ),
  );
  return states.includes("missing") ? "missing" : states.includes("closed") ? "closed" : "open";
}

/** A variable that hides all GPUs from CUDA, as some do who once wanted to. */
function hidden(env: (name: string) => string | undefined): string | null {
  const cuda = env("CUDA_VISIBLE_DEVICES");
  if (cuda !== undefined && /^\s*(-1.*)?$/.test(cuda)) return "CUDA_VISIBLE_DEVICES";
  const nvidia = env("NVIDIA_VISIBLE_DEVICES");
  return nvidia === "void" || nvidia === "none" ? "NVIDIA_VISIBLE_DEVICES" : null;
}
