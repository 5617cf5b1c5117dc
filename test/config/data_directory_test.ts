import assert from "node:assert/strict";
import { ARK_SERVER_DATA, dataDirectoryOf, dataPaths, defaultDataDirectory, type Machine } from "@ark/node/config";

function machine(os: string, variables: Record<string, string>, writable: string[] = []): Machine {
  return { os, env: (name) => variables[name], writable: (path) => writable.includes(path) };
}

const HOME = { HOME: "/home/ann" };

for (
  const [expected, why, on] of [
    ["/srv/ark", "$ARK_DATA before all", machine("linux", { ...HOME, ARK_DATA: "/srv/ark" }, [ARK_SERVER_DATA])],
    ["/opt/ark/data/arknet", "the Ark server's folder", machine("linux", HOME, [ARK_SERVER_DATA])],
    ["/data/ark-node", "XDG_DATA_HOME", machine("linux", { ...HOME, XDG_DATA_HOME: "/data" })],
    ["/home/ann/.local/share/ark-node", "the default of XDG", machine("linux", HOME)],
    ["/home/ann/.local/share/ark-node", "an empty XDG", machine("linux", { ...HOME, XDG_DATA_HOME: "" })],
    ["/home/ann/.local/share/ark-node", "a relative XDG", machine("linux", { ...HOME, XDG_DATA_HOME: "data" })],
    ["/var/lib/.local/share/ark-node", "nobody's home", machine("linux", {})],
    ["/var/lib/.local/share/ark-node", "an empty home", machine("linux", { HOME: "" })],
    ["/home/ann/Library/Application Support/ark-node", "macOS", machine("darwin", { ...HOME, XDG_DATA_HOME: "/x" })],
    ["/appdata/ark-node", "Windows", machine("windows", { USERPROFILE: "/users/ann", LOCALAPPDATA: "/appdata" })],
    ["/users/ann/ark-node", "Windows without LOCALAPPDATA", machine("windows", { USERPROFILE: "/users/ann" })],
  ] as const
) {
  Deno.test(`defaultDataDirectory() takes ${why}: ${expected}`, () => {
    assert.equal(defaultDataDirectory(on), expected);
  });
}

Deno.test("dataDirectoryOf() takes the flag before the environment, and makes both absolute", async () => {
  const env = (name: string) => name === "ARK_DATA" ? "from/env" : undefined;
  assert.equal(await dataDirectoryOf("from/flag", env), `${Deno.cwd()}/from/flag`);
  assert.equal(await dataDirectoryOf("/from/flag", env), "/from/flag");
  assert.equal(await dataDirectoryOf(undefined, env), `${Deno.cwd()}/from/env`);
  await assert.rejects(dataDirectoryOf("", env), { name: "ConfigError", message: /--data/ });
});

Deno.test("dataPaths() names every file inside the directory, each once", () => {
  const { root, ...files } = dataPaths("/srv/ark");
  assert.equal(root, "/srv/ark");
  const paths = Object.values(files);
  assert.equal(new Set(paths).size, paths.length);
  for (const path of paths) assert.match(path, /^\/srv\/ark\/[a-z_.]+$/);
  assert.equal(files.peers, "/srv/ark/approved_peers.json");
  assert.equal(files.audit, "/srv/ark/audit.log");
});
