import { setTimeout as pause } from "node:timers/promises";
import type { RegistrySettings } from "@ark/node/config";
import type { RegistryClient } from "@ark/node/discovery";
import type { Identity } from "@ark/node/identity";
import { sharesModel } from "@ark/node/peers";
import { reasonOf, REGISTRATION_LIMITS } from "@ark/node/protocol";
import type { Logger } from "@ark/node/telemetry";

/** What {@linkcode RegistryMember} needs. */
export interface RegistryMemberOptions {
  /** The registry. */
  client: Pick<RegistryClient, "register">;
  /** This node. */
  identity: Pick<Identity, "id" | "sign">;
  /** What its owner wants to be told. */
  settings: Pick<RegistrySettings, "endpoints" | "models">;
  /** Models that are here. */
  models(): readonly string[];
  /** Says what does not work. */
  logger: Pick<Logger, "info" | "warn">;
}

const AGAIN_MS = 3_600_000;
const RETRY_MS = 60_000;
/** A stopping node takes itself out, and does not wait for long. */
const LEAVE_MS = 2_000;

/** Keeps this node listed in a registry while it runs, because its owner wants that. */
export class RegistryMember {
  readonly #options: RegistryMemberOptions;
  #listed = false;

  /** Says nothing to anybody before it runs. */
  constructor(options: RegistryMemberOptions) {
    this.#options = options;
  }

  /** Registers now, and again each hour; takes the node out when the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, identity, settings: { endpoints, models: patterns }, models, logger } = this.#options;
    while (!signal.aborted) {
      let wait = AGAIN_MS;
      try {
        const told = models().filter((model) => sharesModel(patterns, model)).slice(0, REGISTRATION_LIMITS.models);
        await client.register(identity, { endpoints, models: told });
        if (!this.#listed) logger.info("This node is listed in the registry", { count: told.length });
        this.#listed = true;
      } catch (error) {
        wait = RETRY_MS;
        logger.warn(`This node is not listed: ${reasonOf(error)}`);
      }
      await pause(wait, undefined, { signal }).catch(() => {});
    }
    if (!this.#listed) return;
    const left = client.register(identity, { endpoints: [], models: [] }).catch(() => {});
    const late = new AbortController();
    await Promise.race([left, pause(LEAVE_MS, undefined, { signal: late.signal }).catch(() => {})]);
    late.abort();
  }
}
