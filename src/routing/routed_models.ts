import type { NodeId } from "@ark/node/identity";
import type { ModelSource } from "@ark/node/models";
import type { Capability } from "@ark/node/protocol";
import type { ChoicesOptions } from "./choices.ts";
import type { AsleepModel } from "./sleepers.ts";

/** A model within reach, and who has it. */
export interface RoutedModel {
  /** `name:tag`, as its owner calls it. */
  readonly id: string;
  /** Label of the node that has it. */
  readonly owner: string;
  /** The peer's id, or null for this node. */
  readonly peer: NodeId | null;
  /** Whether it is this node's own. */
  readonly local: boolean;
  /** Whether it is in memory now. */
  readonly loaded: boolean;
  /** Whether its node sleeps, and is woken by a request for it; absent where it is awake. */
  readonly asleep?: true;
  /** SHA-256 of the file in hex, or null while it is not known yet. */
  readonly digest: string | null;
  /** Size of the file in bytes. */
  readonly size: number;
  /** Tokens of context. */
  readonly context_length: number;
  /** Size label such as `8b`, or null. */
  readonly parameters: string | null;
  /** Quantisation such as `q4_0`, or null. */
  readonly quantization: string | null;
  /** What it can do; absent where its node does not say. */
  readonly capabilities?: readonly Capability[];
  /** When it was changed last, RFC 3339 in UTC; absent where its node does not say. */
  readonly modified_at?: string;
  /** Family, such as `llama`; absent where its node does not say. */
  readonly family?: string;
  /** Where it lies on this node; absent for a peer's. */
  readonly source?: ModelSource;
  /** Further names on this node; absent for a peer's. */
  readonly aliases?: readonly string[];
}

/** All models within reach: this node's first, then those of upstream servers, of peers that are ready, and of nodes that sleep. */
export function routedModels(
  { name: owner, local, table, upstreams = [], asleep = [] }:
    & Pick<ChoicesOptions, "name" | "local" | "table" | "upstreams">
    & { asleep?: readonly AsleepModel[] },
): RoutedModel[] {
  const loaded = new Set(local?.backend.loaded().map(({ id }) => id));
  const own = (local?.catalogue.list() ?? []).map((model): RoutedModel => ({
    id: model.id,
    owner,
    peer: null,
    local: true,
    loaded: loaded.has(model.id),
    digest: model.digest,
    size: model.size,
    context_length: model.contextLength,
    parameters: model.parameters,
    quantization: model.quantization,
    capabilities: model.capabilities,
    modified_at: new Date(model.modifiedAt).toISOString(),
    family: model.family,
    source: model.source,
    aliases: model.aliases,
  }));
  const ready = table.list().filter(({ state }) => state === "ready" || state === "busy");
  const theirs = ready.flatMap(({ offer, peer }) =>
    (offer?.models ?? []).map((model): RoutedModel => ({
      ...model,
      owner: peer.name,
      peer: peer.node_id,
      local: false,
    }))
  );
  const named = upstreams.flatMap((upstream) =>
    upstream.models().map((model): RoutedModel => ({
      ...model,
      owner: upstream.name,
      peer: null,
      local: upstream.local,
      loaded: true,
      digest: null,
    }))
  );
  const sleeping = asleep.map(({ peer, name, model }): RoutedModel => ({
    ...model,
    owner: name,
    peer,
    local: false,
    loaded: false,
    asleep: true,
  }));
  return [...own, ...named, ...theirs, ...sleeping];
}
