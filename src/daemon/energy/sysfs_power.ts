import { open, readdir } from "node:fs/promises";

/** A counter of energy that only goes up, and begins anew at its range. */
export interface EnergyCounter {
  /** Which one: its folder. */
  readonly name: string;
  /** Microjoules so far. */
  readonly microjoules: number;
  /** Microjoules at which it begins anew, or null where that is not known. */
  readonly range: number | null;
}

/** More entries of a folder than these are not looked at. */
const MOST_ENTRIES = 64;
/** Of a card with less memory of its own the processor's counter has the energy already, in bytes. */
const OWN_MEMORY = 2 ** 30;
/** A whole number as the kernel writes it; more digits than any counter has are none. */
const WHOLE = /^\d{1,15}$/;

/**
 * What the Linux kernel tells of energy, in `/sys`. Everything is null or empty where the kernel does not tell, or does not let
 * this user read it: the counters of processors are for root alone on most systems.
 */
export class SysfsPower {
  readonly #root: string;

  /** Reads below a folder that stands for `/`; only tests have another one. */
  constructor(root: string = "") {
    this.#root = root;
  }

  /**
   * The counters of the processors and their memory (RAPL), or that of the whole platform where there is one, which has the
   * others in it. Null where one of them cannot be read: a part would be told as the whole.
   */
  async processors(): Promise<EnergyCounter[] | null> {
    const folder = `${this.#root}/sys/class/powercap`;
    const counters: (EnergyCounter & { readonly what: string })[] = [];
    for (const name of await entries(folder)) {
      if (!/^intel-rapl:\d{1,3}(?::\d{1,3})?$/.test(name)) continue;
      const what = await beginning(`${folder}/${name}/name`);
      // Parts of a package, its cores say, are in the package already.
      if (!/^(?:psys|dram|package-\d{1,3}(?:-die-\d{1,3})?)$/.test(what)) continue;
      const microjoules = whole(await beginning(`${folder}/${name}/energy_uj`));
      if (microjoules === null) return null;
      counters.push({
        name,
        what,
        microjoules,
        range: whole(await beginning(`${folder}/${name}/max_energy_range_uj`)),
      });
    }
    const platform = counters.filter(({ what }) => what === "psys");
    const chosen = platform.length > 0 ? platform.slice(0, 1) : counters;
    return chosen.length === 0 ? null : chosen.map(({ name, microjoules, range }) => ({ name, microjoules, range }));
  }

  /** Watts that batteries give to the machine now, or null where it runs on mains or they do not say. */
  async battery(): Promise<number | null> {
    const folder = `${this.#root}/sys/class/power_supply`;
    let sum: number | null = null;
    for (const name of await entries(folder)) {
      const of = (field: string) => beginning(`${folder}/${name}/${field}`);
      // Those of mice and headphones are no batteries of this machine.
      if (await of("type") !== "Battery" || await of("scope") === "Device") continue;
      const status = await of("status");
      if (status === "Charging") return null;
      if (status !== "Discharging") continue;
      const microwatts = whole((await of("power_now")).replace(/^-/, ""));
      const [amperes, volts] = [whole((await of("current_now")).replace(/^-/, "")), whole(await of("voltage_now"))];
      const watts = microwatts !== null
        ? microwatts / 1e6
        : amperes !== null && volts !== null
        ? amperes * volts / 1e12
        : null;
      if (watts === null) return null;
      sum = (sum ?? 0) + watts;
    }
    return sum === 0 ? null : sum;
  }

  /** Watts of AMD's GPUs with memory of their own, or null where there is none, or one does not say. */
  async amd(): Promise<number | null> {
    const folder = `${this.#root}/sys/class/drm`;
    let sum: number | null = null;
    for (const card of await entries(folder)) {
      if (!/^card\d{1,3}$/.test(card)) continue;
      const memory = whole(await beginning(`${folder}/${card}/device/mem_info_vram_total`));
      if (memory === null || memory < OWN_MEMORY) continue;
      const sensors = `${folder}/${card}/device/hwmon`;
      const [sensor] = (await entries(sensors)).filter((name) => /^hwmon\d{1,4}$/.test(name));
      const average = whole(await beginning(`${sensors}/${sensor}/power1_average`));
      const microwatts = average ?? whole(await beginning(`${sensors}/${sensor}/power1_input`));
      if (microwatts === null) return null;
      sum = (sum ?? 0) + microwatts / 1e6;
    }
    return sum;
  }
}

/** Joules between two looks at the same counters, or null where they are others or one has no range and began anew. */
export function joulesBetween(before: readonly EnergyCounter[], now: readonly EnergyCounter[]): number | null {
  if (before.length !== now.length) return null;
  let sum = 0;
  for (const { name, microjoules, range } of now) {
    const earlier = before.find((one) => one.name === name);
    if (earlier === undefined) return null;
    const passed = microjoules - earlier.microjoules;
    if (passed < 0 && (range === null || range < earlier.microjoules)) return null;
    sum += passed < 0 ? passed + (range ?? 0) : passed;
  }
  return sum / 1e6;
}

async function entries(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort().slice(0, MOST_ENTRIES);
  } catch {
    return [];
  }
}

/** The first line of a short file, or nothing where it cannot be read. */
async function beginning(path: string): Promise<string> {
  try {
    const file = await open(path);
    try {
      const bytes = new Uint8Array(64);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
      return new TextDecoder().decode(bytes.subarray(0, bytesRead)).split("\n")[0]?.trim() ?? "";
    } finally {
      await file.close();
    }
  } catch {
    return "";
  }
}

function whole(text: string): number | null {
  return WHOLE.test(text) ? Number(text) : null;
}
