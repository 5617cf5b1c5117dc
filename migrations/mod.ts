/**
 * The history of the database: each migration lifts it by one step, in the order of the names. A released migration is
 * never edited; a change of a table is a new one, and `src/store/schema.ts` says what they add up to.
 *
 * @module
 */
import type { Migration } from "kysely/migration";
import * as initial from "./0001_initial.ts";
import * as apiKeys from "./0002_api_keys.ts";
import * as auditTree from "./0003_audit_tree.ts";
import * as pairing from "./0004_pairing.ts";
import * as rotations from "./0005_rotations.ts";
import * as usage from "./0006_usage.ts";
import * as lastAddresses from "./0007_last_addresses.ts";
import * as reputations from "./0008_reputations.ts";
import * as demand from "./0009_demand.ts";
import * as chunkLists from "./0010_chunk_lists.ts";

/** Every migration by its name, which stands in the database once it has run. */
export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  "0001_initial": initial,
  "0002_api_keys": apiKeys,
  "0003_audit_tree": auditTree,
  "0004_pairing": pairing,
  "0005_rotations": rotations,
  "0006_usage": usage,
  "0007_last_addresses": lastAddresses,
  "0008_reputations": reputations,
  "0009_demand": demand,
  "0010_chunk_lists": chunkLists,
};
