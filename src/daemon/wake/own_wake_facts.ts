import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { isMac, MOST_MACS, type WakeFacts } from "@ark/node/protocol";

/** A network card, or what looks like one. */
export interface Card {
  /** Name of the interface. */
  readonly name: string;
  /** Its hardware address. */
  readonly mac: string;
  /** Whether it is a device and not made by a program; null where the system does not tell. */
  readonly real: boolean | null;
  /** Whether it wakes the machine; null where the system does not tell. */
  readonly wakes: boolean | null;
}

/** How this machine is woken, as far as the system tells. Never fails. */
export async function ownWakeFacts(): Promise<WakeFacts> {
  const cards: Card[] = [];
  for (const [name, infos = []] of Object.entries(networkInterfaces())) {
    const mac = infos.find(({ internal, mac }) => !internal && isMac(mac.toLowerCase()))?.mac.toLowerCase();
    if (mac !== undefined) cards.push({ name, mac, ...await deviceOf(name) });
  }
  return wakeFactsOf(cards);
}

/** What is told of some cards: those that are devices, or all where that is not known of any. Pure. */
export function wakeFactsOf(cards: readonly Card[]): WakeFacts {
  const real = cards.filter((card) => card.real === true);
  const told = real.length > 0 ? real : cards;
  const macs = [...new Set(told.map(({ mac }) => mac))].slice(0, MOST_MACS);
  const wakes = told.map((card) => card.wakes);
  const none = wakes.length > 0 && wakes.every((one) => one === false);
  const possible = wakes.some((one) => one === true) ? true : none ? false : null;
  return { macs, possible };
}

/** Linux alone tells of devices; whoever may not read `/sys` knows nothing of it. */
async function deviceOf(name: string): Promise<Pick<Card, "real" | "wakes">> {
  const folder = `/sys/class/net/${encodeURIComponent(name)}`;
  try {
    await Deno.stat(`${folder}/address`);
  } catch {
    return { real: null, wakes: null };
  }
  const real = await Deno.stat(`${folder}/device`).then(() => true, () => false);
  const text = await readFile(`${folder}/device/power/wakeup`, "utf8").catch(() => "");
  const wakeup = text.trim();
  return { real, wakes: wakeup === "enabled" ? true : wakeup === "disabled" ? false : null };
}
