import { ArkError } from "@ark/node/protocol";
import type { Sender } from "../keys/keyed_answers.ts";
import { isLoopbackAddress } from "../middleware/host_names.ts";
import { isProxied } from "../middleware/proxied.ts";
import { isOfPage } from "./sent_json.ts";

/**
 * Lets only a program of the owner's on this machine change what models there are, as his Ollama would: no web page, not
 * even one that may ask questions, nobody who comes through a proxy or from the network, and no API key, since a key is for
 * asking and may be somebody else's.
 *
 * @throws {ArkError} `forbidden`
 */
export function refuseManaging(request: Request, { remote, held }: { remote: string; held: Sender["held"] }): void {
  const near = (remote === "" || isLoopbackAddress(remote)) && !isProxied(request.headers);
  if (near && held === null && !isOfPage(request.headers)) return;
  throw new ArkError(
    "forbidden",
    "Models are fetched, removed and renamed only by programs of this machine that send no API key: use the command line",
  );
}
