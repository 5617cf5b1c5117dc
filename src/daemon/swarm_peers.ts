import type { NodeId } from "@ark/node/identity";
import type { SwarmPeers } from "@ark/node/models";
import { ArkError } from "@ark/node/protocol";
import type { Neighbours } from "./neighbours.ts";

/** What wrong bytes count as: so many answers that a peer began and spoilt. */
const OFFENCES = 3;

/** Approved peers as those from whom models may come: the owner asks them, and none of them can make this node fetch. */
export function swarmPeers(
  { table, client, reputation }: Pick<Neighbours, "table" | "client" | "reputation">,
): SwarmPeers {
  return {
    list: () =>
      table.list().filter(({ peer }) => peer.paused !== true)
        .map(({ peer: { node_id: id, name } }) => ({ id, name: name === "" ? id.slice(0, 8) : name })),
    request(id, call) {
      const addresses = table.addresses(id);
      if (addresses.length > 0) return client.request({ id, addresses }, { method: "GET", ...call });
      return Promise.reject(new ArkError("unavailable", "It was not seen yet, so nobody knows where it is"));
    },
    offended: (id) => offend(reputation, id),
  };
}

function offend(reputation: Neighbours["reputation"], key: NodeId): void {
  const seen = { key, model: "", firstTokenMs: null, promptRate: null, generationRate: null, late: null, claim: null };
  for (let time = 0; time < OFFENCES; time++) reputation.note({ ...seen, outcome: "engine_failed", began: true });
}
