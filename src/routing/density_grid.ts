import type { NodeId } from "@ark/node/identity";
import type { Hardware } from "@ark/node/protocol";
import type { PeerState } from "./peer_view.ts";

/** What a node of the grid is: this one, an approved peer, or a server that the owner named. */
export type GridKind = "own" | "peer" | "upstream";

/** A model at a node. */
export interface GridCopy {
  /** `name:tag`, as that node calls it. */
  readonly id: string;
  /** SHA-256 of the file in hex, or null while it is not known. */
  readonly digest: string | null;
  /** Size of the file in bytes. */
  readonly size: number;
  /** Whether it is in memory now. */
  readonly loaded: boolean;
}

/** What is known of a node: of a peer, no more than it told this node of itself. */
export interface GridSource {
  /** What it is. */
  readonly kind: GridKind;
  /** Name for people. */
  readonly name: string;
  /** Its id; null for an upstream server. */
  readonly node_id: NodeId | null;
  /** How it stands. */
  readonly state: PeerState;
  /** What it works with; null where its owner does not say. */
  readonly hardware: Hardware | null;
  /** Requests of ours that it answers at once; null where that is not known. */
  readonly slots: number | null;
  /** Requests of ours that it answers now. */
  readonly running: number;
  /** Requests that wait there, or null where it does not say. */
  readonly queued: number | null;
  /** What it has. */
  readonly models: readonly GridCopy[];
}

/** A node of the grid, and what would be lost without it. */
export interface GridNode extends Omit<GridSource, "models"> {
  /** Ids of its models. */
  readonly models: readonly string[];
  /** What would be lost if it left. */
  readonly loss: {
    /** Models that nobody else within reach has. */
    readonly models: readonly string[];
    /** Its part of all requests that can be answered at once, 0 to 1; null where that is not known. */
    readonly capacity_share: number | null;
  };
}

/** A model of the grid: one file, whatever it is called, or one name where nobody knows the file. */
export interface GridModel {
  /** Its name; where nodes call it differently, the name at the first of them. */
  readonly id: string;
  /** Its other names. */
  readonly aliases: readonly string[];
  /** SHA-256 of the file in hex, or null where it is told from others by its name alone. */
  readonly digest: string | null;
  /** Size of the file in bytes. */
  readonly size: number;
  /** Names of the nodes that have it. */
  readonly nodes: readonly string[];
  /** How many nodes have it: from 2 on, one of them may leave. */
  readonly copies: number;
  /** How many have it in memory. */
  readonly loaded: number;
}

/** All nodes within reach, what they have, and how many of them have it. */
export interface DensityGrid {
  /** This node first, then servers and peers. */
  readonly nodes: readonly GridNode[];
  /** The rarest first. */
  readonly models: readonly GridModel[];
  /** Everything together, of nodes that are within reach and say so. */
  readonly totals: {
    /** Nodes that are known. */
    readonly nodes: number;
    /** Of them, those that take work now. */
    readonly ready: number;
    /** Nodes with a GPU. */
    readonly gpus: number;
    /** Memory of GPUs in bytes. */
    readonly gpu_memory: number;
    /** Memory in bytes. */
    readonly memory: number;
    /** How many nodes do not tell their hardware. */
    readonly hardware_unknown: number;
    /** Different models. */
    readonly models: number;
    /** Of them, those that one node alone has. */
    readonly single_copies: number;
    /** Requests that can be answered at once, as far as that is known. */
    readonly slots: number;
  };
}

interface Group {
  readonly names: Set<string>;
  readonly digest: string | null;
  readonly size: number;
  readonly holders: Map<GridSource, boolean>;
}

/**
 * What the nodes within reach have together; pure. A node that takes no work now holds nothing: what it has does not help.
 * Files count as the same where their digests are, and by their names only where no digest is known.
 */
export function densityGrid(sources: readonly GridSource[]): DensityGrid {
  const ready = sources.filter(takesWork);
  const groups = groupsOf(ready);
  const slots = ready.reduce((sum, source) => sum + (source.slots ?? 0), 0);
  const models = [...groups.values()].map(modelOf).sort((a, b) => a.copies - b.copies || (a.id < b.id ? -1 : 1));
  const nodes = sources.map((source): GridNode => {
    const { models: copies, ...rest } = source;
    const alone = [...groups.values()].filter(({ holders }) => holders.size === 1 && holders.has(source));
    const counts = takesWork(source) && source.slots !== null && slots > 0;
    return {
      ...rest,
      models: copies.map(({ id }) => id),
      loss: {
        models: alone.map((group) => modelOf(group).id).sort(),
        capacity_share: counts ? (source.slots ?? 0) / slots : takesWork(source) ? null : 0,
      },
    };
  });
  const told = ready.flatMap(({ hardware }) => hardware ?? []);
  const gpus = told.flatMap(({ gpu }) => gpu ?? []);
  return {
    nodes,
    models,
    totals: {
      nodes: sources.length,
      ready: ready.length,
      gpus: gpus.length,
      gpu_memory: gpus.reduce((sum, { memory }) => sum + (memory ?? 0), 0),
      memory: told.reduce((sum, { memory }) => sum + (memory?.total ?? 0), 0),
      hardware_unknown: ready.length - told.length,
      models: models.length,
      single_copies: models.filter(({ copies }) => copies === 1).length,
      slots,
    },
  };
}

/** Who is busy with its owner's work takes ours, too, and does it later. */
function takesWork({ state }: GridSource): boolean {
  return state === "ready" || state as string === "busy";
}

function groupsOf(ready: readonly GridSource[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const source of ready) {
    for (const { id, digest, size, loaded } of source.models) {
      const key = digest ?? `name:${id}`;
      const known = groups.get(key);
      const group = known ?? { names: new Set<string>(), digest, size, holders: new Map<GridSource, boolean>() };
      if (known === undefined) groups.set(key, group);
      group.names.add(id);
      group.holders.set(source, loaded || group.holders.get(source) === true);
    }
  }
  return groups;
}

function modelOf({ names, digest, size, holders }: Group): GridModel {
  const [id = "", ...aliases] = names;
  return {
    id,
    aliases,
    digest,
    size,
    nodes: [...holders.keys()].map(({ name }) => name),
    copies: holders.size,
    loaded: [...holders.values()].filter(Boolean).length,
  };
}
