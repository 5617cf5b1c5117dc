import { Hono } from "hono";
import type { CopyKeeper, CopyWishes, ModelCatalogue, ToldWish } from "@ark/node/models";
import { ArkError } from "@ark/node/protocol";
import { readJson } from "../api/request_json.ts";

/** What the owner's calls about copies need. */
export interface CopiesRoutesOptions {
  /** Copies of models among the owner's nodes; null or absent where this node has no models. */
  copies?: {
    /** What the owner wishes. */
    wishes: Pick<CopyWishes, "list" | "set">;
    /** Knows who has what. */
    keeper: Pick<CopyKeeper, "told" | "look">;
    /** The models that are here. */
    catalogue: Pick<ModelCatalogue, "find">;
  } | null;
}

/** A wish as the owner is told about it. */
export interface CopiesView {
  /** `name:tag` */
  model: string;
  /** How many nodes are to have it. */
  copies: number;
  /** Who has it or is fetching it as far as is known; null while its digest is not known, or it is not here. */
  holders: ToldWish["holders"] | null;
  /** Who else could fetch it. */
  candidates: ToldWish["candidates"];
}

const BODY_BYTES = 4 << 10;

/**
 * | call | answer |
 * |---|---|
 * | `GET /` | the wishes for copies, and who has what |
 * | `POST /` `{model, copies}` | wishes for so many copies among the owner's own nodes; null takes the wish back |
 */
export function copiesRoutes({ copies = null }: CopiesRoutesOptions): Hono {
  const app = new Hono();
  const open = () => {
    if (copies !== null) return copies;
    throw new ArkError("unavailable", "This node keeps no models: it has not the role compute");
  };
  app.get("/", ({ json }) => {
    const { wishes, keeper } = open();
    const told = new Map(keeper.told().map((wish) => [wish.model, wish]));
    const views = wishes.list().map(({ model, copies }): CopiesView => {
      const { holders = null, candidates = [] } = told.get(model) ?? {};
      return { model, copies, holders, candidates };
    });
    return json({ wishes: views });
  });
  app.post("/", async ({ req, json }) => {
    const { wishes, catalogue, keeper } = open();
    const { model, copies } = Object(await readJson(req.raw, BODY_BYTES)) as Record<string, unknown>;
    if (typeof model !== "string" || model === "") throw new ArkError("bad_request", "Field model must name a model");
    if (copies !== null && typeof copies !== "number") {
      throw new ArkError("bad_request", "Field copies must be a number, or null to take the wish back");
    }
    const id = catalogue.find(model)?.id ?? wishes.list().find((wish) => wish.model === model)?.model;
    if (id === undefined) throw new ArkError("model_not_found", `There is no model ${model} on this node`);
    await wishes.set(id, copies);
    keeper.look();
    return json({ model: id, copies });
  });
  return app;
}
