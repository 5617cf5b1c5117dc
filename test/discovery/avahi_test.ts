/**
 * Our packets as another implementation reads them: `avahi-daemon`, on a machine where a node shares port 5353 with it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Avahi, missingAvahi } from "../support/avahi.ts";
import { canUseNamespaces, NetworkLab } from "../support/netns.ts";
import { MdnsNode } from "./mdns_node.ts";

const reason = await canUseNamespaces() ?? await missingAvahi();
// deno-lint-ignore no-console
if (reason !== null) console.log(`avahi_test: skipped, ${reason}`);

Deno.test({
  name: "avahi-browse lists our nodes while they are there, and a node finds others beside avahi-daemon",
  ignore: reason !== null,
  async fn() {
    await using lab = await NetworkLab.create(["alice", "bob"]);
    const [alice, bob] = [lab.host("alice"), lab.host("bob")];
    await using avahi = await Avahi.start(alice);
    await using one = new MdnsNode({ host: alice, port: 9001 });
    await using other = new MdnsNode({ host: bob, port: 9002 });
    await one.until(() => one.sees(other, bob.address) === true);
    await other.until(() => other.sees(one, alice.address) === true);

    const both = await avahi.browse((lines) => lines.length === 2);
    for (const [node, host] of [[one, alice], [other, bob]] as const) {
      const [instance = "", name, address, port, text] = both.find((fields) => fields[3] === String(node.port)) ?? [];
      assert.match(instance, /^[0-9a-f]{32}$/);
      assert.match(name ?? "", /^[0-9a-f]{32}\.local$/);
      assert.equal(address, host.address);
      assert.equal(port, String(node.port));
      assert.deepEqual(text?.split(" ").sort(), ['"txtvers=1"', `"id=${node.shortId}"`, '"p=1"'].sort());
    }
    assert.match(await avahi.services(), /_arknet\._tcp/);

    await other.leave();
    assert.deepEqual((await avahi.browse((lines) => lines.length === 1))[0]?.[3], "9001");
  },
});
