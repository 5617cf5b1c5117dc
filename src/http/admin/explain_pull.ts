import { sharesModel } from "@ark/node/peers";
import type { Circumstances } from "./explain.ts";

/** Whether a peer may download a model from here, and why not, as a sentence. Pure. */
export function explainPull({ name, model, peer, here }: Circumstances): string {
  const because = whyNot({ peer, model, here });
  return because === null
    ? `${name} may download ${model} from here.`
    : `${name} cannot download ${model} from here, because ${because}.`;
}

function whyNot({ peer, model, here }: Pick<Circumstances, "peer" | "model" | "here">): string | null {
  if (peer === null) return "you have not approved it";
  if (peer.paused) return "you paused it";
  const { can_pull_models, models_shared: shared } = peer.permissions;
  if (!can_pull_models) return "its approval does not let it download models: approve it with --pull";
  if (!sharesModel(shared, here.model ?? model)) {
    return `you share ${shared.length === 0 ? "no model" : shared.join(", ")} with it`;
  }
  if (here.model === null) return "there is no such model on this node";
  if (!here.accepting) return "this node is stopping";
  if (here.yields !== undefined && here.yields !== null && peer.own !== true) return "this node does not share now";
  return here.auditFault === null ? null : "this node cannot record downloads now";
}
