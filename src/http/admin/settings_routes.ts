import { Hono } from "hono";
import { ArkError } from "@ark/node/protocol";
import { readJson } from "../api/request_json.ts";

/** A setting as the owner is told of it. */
export interface SettingView {
  /** Name of its flag, without dashes. */
  readonly name: string;
  /** Its text, switch or list; null where the default of its help counts. */
  readonly value: string | boolean | readonly string[] | null;
  /** Who gave it. */
  readonly from: "flag" | "environment" | "file" | "preset" | "default";
  /** What its flag takes, or null for a switch. */
  readonly takes: string | null;
  /** Whether it is a list. */
  readonly multiple: boolean;
  /** What it means. */
  readonly help: string;
  /** Whether it can be changed here. */
  readonly changes: boolean;
  /** Whether it counts from the next start only, and is another one until then. */
  readonly waits: boolean;
}

/** What the owner's calls about settings need. */
export interface SettingsRoutesOptions {
  /** What the node is set to; absent where nobody can change that. */
  settings?: {
    /** All of them, and the file in which they can be changed. */
    list(): Promise<{ file: string; settings: readonly SettingView[] }>;
    /** Changes one in the file, or takes it out with null. */
    change(name: string, value: string | boolean | readonly string[] | null): Promise<void>;
  };
}

const BODY_BYTES = 16 << 10;

/**
 * | call | answer |
 * |---|---|
 * | `GET /` | `{file, settings}`: every setting, who gave it, and the file in which they can be changed |
 * | `POST /` `{name, value}` | writes one into the file, null takes it out; answers as `GET` does |
 */
export function settingsRoutes({ settings }: SettingsRoutesOptions): Hono {
  const app = new Hono();
  const open = () => {
    if (settings !== undefined) return settings;
    throw new ArkError("unavailable", "This node has no configuration that could be told or changed");
  };
  app.get("/", async ({ json }) => json(await open().list()));
  app.post("/", async ({ req, json }) => {
    const { name, value } = Object(await readJson(req.raw, BODY_BYTES)) as Record<string, unknown>;
    if (typeof name !== "string") throw new ArkError("bad_request", "Field name must name a setting");
    const listed = Array.isArray(value) && value.every((one) => typeof one === "string");
    if (value !== null && typeof value !== "string" && typeof value !== "boolean" && !listed) {
      throw new ArkError("bad_request", "Field value must be a text, true or false, a list of texts, or null");
    }
    await open().change(name, value as string | boolean | string[] | null);
    return json(await open().list());
  });
  return app;
}
