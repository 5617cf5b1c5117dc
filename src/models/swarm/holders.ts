import { ArkError, decodeSignedManifest, type ModelManifest, MOST_MANIFEST_BYTES } from "@ark/node/protocol";
import { shown } from "../pull/safe_name.ts";
import { askPeer, type SwarmPeer, type SwarmPeers } from "./swarm_peers.ts";

/** Options of {@linkcode findHolders}. */
export interface FindHoldersOptions {
  /** The model, as the owner wrote it. */
  model: string;
  /** The peer that it is to come from, by its name or the beginning of its id; without it any. */
  from?: string | undefined;
  /** Ends it. */
  signal: AbortSignal;
}

/** A model as peers have it. */
export interface HeldModel {
  /** What makes it. */
  readonly manifest: ModelManifest;
  /** Who has exactly these files. */
  readonly holders: readonly SwarmPeer[];
}

/** Longest time for a manifest in milliseconds: a node that was never asked hashes the files first. */
const MANIFEST_MS = 120_000;
/** How long the others are waited for once one has answered, in milliseconds. */
const OTHERS_MS = 3_000;
/** Room around the manifest for its signature. */
const SIGNED_BYTES = MOST_MANIFEST_BYTES + 1_024;

/**
 * The peers that a pull may use: all that may be asked, or the one that the owner named.
 *
 * @throws {ArkError} `bad_request` where there is no such peer, or several.
 */
export function chosenPeers(peers: SwarmPeers, from: string | undefined): SwarmPeers {
  if (from === undefined) return peers;
  const wanted = from.toLowerCase().replaceAll(/[-\s]/g, "");
  const all = peers.list();
  const named = all.filter(({ name }) => name.toLowerCase() === from.toLowerCase());
  const found = named.length > 0 ? named : all.filter(({ id }) => wanted.length >= 4 && id.startsWith(wanted));
  const [peer] = found;
  if (peer === undefined) {
    throw new ArkError("bad_request", `No approved peer is called ${shown(from)}: 'ark-node peers' lists them`);
  }
  if (found.length > 1) {
    throw new ArkError("bad_request", `${found.length} peers are called ${shown(from)}: name one by its id`);
  }
  return {
    list: () => peers.list().filter(({ id }) => id === peer.id),
    request: (id, call) => peers.request(id, call),
    offended: (id) => peers.offended(id),
  };
}

/**
 * Asks all peers what they have under a name, and chooses the files that most of them have; null where nobody has any.
 *
 * @throws {ArkError} `bad_request` where as many peers have other files of that name: the owner has to choose.
 */
export async function findHolders(peers: SwarmPeers, { model, signal }: FindHoldersOptions): Promise<HeldModel | null> {
  const answers: { peer: SwarmPeer; manifest: ModelManifest }[] = [];
  const enough = new AbortController();
  const either = AbortSignal.any([signal, enough.signal]);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const asked = peers.list().map(async (peer) => {
    const manifest = await manifestOf(peers, { peer, model, signal: either });
    if (manifest === null) return;
    answers.push({ peer, manifest });
    timer ??= setTimeout(() => enough.abort(), OTHERS_MS);
  });
  await Promise.allSettled(asked);
  clearTimeout(timer);
  signal.throwIfAborted();
  const groups = Map.groupBy(answers, ({ manifest }) => manifest.files.map(({ sha256 }) => sha256).join(" "));
  const [best, second] = [...groups.values()].toSorted((a, b) => b.length - a.length);
  const [first] = best ?? [];
  if (best === undefined || first === undefined) return null;
  if (second !== undefined && second.length === best.length) throw disagreement(model, [...groups.values()]);
  return { manifest: first.manifest, holders: best.map(({ peer }) => peer) };
}

async function manifestOf(
  peers: SwarmPeers,
  { peer, model, signal }: { peer: SwarmPeer; model: string; signal: AbortSignal },
): Promise<ModelManifest | null> {
  try {
    const bytes = await askPeer(peers, {
      peer,
      path: `/ark/v1/models/manifest?model=${encodeURIComponent(model)}`,
      what: "the manifest of the model",
      most: SIGNED_BYTES,
      deadlineMs: MANIFEST_MS,
      signal,
    });
    const { manifest } = decodeSignedManifest(JSON.parse(new TextDecoder().decode(bytes)));
    return manifest.files.length > 0 && manifest.files.every(({ name }) => /\.gguf$/i.test(name)) ? manifest : null;
  } catch {
    // Whoever has it not, does not answer or answers nonsense has nothing to give.
    return null;
  }
}

function disagreement(model: string, groups: readonly { peer: SwarmPeer; manifest: ModelManifest }[][]): ArkError {
  const what = groups.slice(0, 6).map((group) => {
    const digest = group[0]?.manifest.files[0]?.sha256.slice(0, 12) ?? "";
    return `${group.slice(0, 4).map(({ peer }) => peer.name).join(", ")} (sha256 ${digest})`;
  });
  return new ArkError(
    "bad_request",
    `Peers have different files as ${shown(model)}: ${what.join("; ")}. Choose with --from PEER`,
  );
}
