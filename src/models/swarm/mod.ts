/** Files of models from several sources at once: approved peers, servers of the web, and what is here already. */
export { chosenPeers, findHolders, type FindHoldersOptions, type HeldModel } from "./holders.ts";
export { fetchBlob } from "./fetch_blob.ts";
export type { ChunkSink, FetchBlobOptions } from "./fetch_options.ts";
export { OriginSource } from "./origin_source.ts";
export { PeerSource } from "./peer_source.ts";
export * from "./piece_source.ts";
export type { SwarmClock } from "./swarm_clock.ts";
export { fetchFromSwarm, type SwarmFileOptions, type SwarmWanted } from "./swarm_file.ts";
export type { SwarmPeer, SwarmPeers } from "./swarm_peers.ts";
