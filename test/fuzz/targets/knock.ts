import assert from "node:assert/strict";
import { toldAddress } from "../../../src/http/mesh/mesh_app.ts";
import { isPlainTarget } from "../../../src/transport/signed_request.ts";
import { mutateText } from "../mutate.ts";
import { type FuzzTarget, shrinkText } from "../target.ts";

const REMOTE = "192.168.1.7";

/** Where a stranger who knocks says that it listens. */
export const knock: FuzzTarget<string> = {
  name: "knock",
  promise: "A knock leads to a port of the host that it came from, and of no other, or to nothing.",
  corpus: ["/ark/v1/offer?port=8911", "/ark/v1/offer?port=1", "/ark/v1/offer?a=b&port=65535", "/ark/v1/offer"],
  covers: ["/src/http/mesh/mesh_app.ts", "/src/transport/signed_request.ts"],
  mutate: (random, text, other) => mutateText(random, text, other),
  check(target) {
    if (!isPlainTarget(target)) return false;
    const url = new URL(`https://node.ark.invalid${target}`);
    assert.equal(url.host, "node.ark.invalid");
    const address = toldAddress(url, REMOTE);
    if (address === null) return false;
    assert.equal(address.hostname, REMOTE);
    assert.ok(Number.isInteger(address.port) && address.port >= 1 && address.port <= 65_535);
    assert.equal(Number(url.searchParams.get("port")), address.port);
    return true;
  },
  show: (target) => JSON.stringify(target),
  shrink: shrinkText,
};
