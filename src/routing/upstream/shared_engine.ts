import type { Backend, Occupancy } from "@ark/node/inference";
import type { LocalModel } from "@ark/node/models";
import { ArkError, type ModelRef } from "@ark/node/protocol";
import type { RoutedUpstream } from "../choices.ts";

/** What a peer is told of a model. */
export type SharedModel =
  & Pick<LocalModel, "id" | "digest" | "size" | "contextLength" | "parameters" | "quantization">
  & Partial<Pick<LocalModel, "capabilities" | "family" | "modifiedAt">>;

/** What approved peers may be given of a node: its own engine, and upstream servers where the owner says so. */
export interface SharedEngine {
  /** Runs models. */
  backend: Backend & {
    /** The models in memory. */
    loaded(): readonly { id: string }[];
    /** Whether it takes work of peers now. */
    readonly ready?: boolean;
    /** How much room there is for their work; absent where that is not known. */
    occupancy?(): Occupancy;
    /** How fast its models were when that was measured last, by their ids; absent where nothing is measured. */
    speeds?(): ReadonlyMap<string, MeasuredSpeeds>;
    /** Calls when something of the above may have changed. */
    watch?(changed: () => void): Disposable;
  };
  /** Knows which there are. */
  catalogue: {
    /** The model that a person means, or undefined. */
    find(ref: ModelRef): SharedModel | undefined;
    /** All models, in the order in which they are shown. */
    list(): readonly SharedModel[];
    /** Calls when the list may have changed. */
    watch?(changed: () => void): Disposable;
  };
}

/** How fast a model was when that was measured last; null where it was not yet. */
export interface MeasuredSpeeds {
  /** Time to load it, in milliseconds. */
  readonly loadMs: number | null;
  /** Tokens of a prompt that it reads in a second. */
  readonly promptRate: number | null;
  /** Tokens that it writes in a second for one answer. */
  readonly generationRate: number | null;
}

/** An engine together with upstream servers: its own model answers where both have one of the same id. */
export function withUpstreams(own: SharedEngine | null, upstreams: readonly RoutedUpstream[]): SharedEngine {
  const theirs = () =>
    upstreams.flatMap((upstream) =>
      upstream.models().map(({ id, size, context_length, parameters, quantization }): SharedModel => {
        return { id, digest: null, size, contextLength: context_length, parameters, quantization };
      })
    );
  const servers = (ref: ModelRef) => upstreams.filter((upstream) => upstream.handles(ref));
  return {
    backend: {
      name: own?.backend.name ?? "upstreams",
      handles: (ref) => own?.backend.handles(ref) === true || servers(ref).length > 0,
      worksHere: (ref) => own?.backend.handles(ref) === true && own.backend.worksHere?.(ref) === true,
      infer(request, options) {
        if (own?.backend.handles(request.model)) return own.backend.infer(request, options);
        if (request.resume !== undefined) {
          // A server would begin anew, and the reader would get the same words twice.
          throw new ArkError("bad_request", "This node cannot go on with an answer that was begun elsewhere");
        }
        const [server] = servers(request.model).sort((a, b) => a.inFlight - b.inFlight);
        if (server !== undefined) return server.infer(request, options);
        throw new ArkError("model_not_found", `This node has no model ${request.model}`);
      },
      get ready() {
        return own?.backend.ready ?? true;
      },
      loaded: () => [...own?.backend.loaded() ?? [], ...theirs()],
      ...own === null ? {} : extrasOf(own),
    },
    catalogue: {
      find: (ref) =>
        own?.catalogue.find(ref) ?? known(theirs(), upstreams.find((one) => one.handles(ref))?.find(ref)?.id),
      list() {
        const all = new Map((own?.catalogue.list() ?? []).map((model) => [model.id, model]));
        for (const model of theirs()) if (!all.has(model.id)) all.set(model.id, model);
        return [...all.values()];
      },
    },
  };
}

/** What an engine of this node may say beside the rest. Servers say nothing of it, and are looked at now and then. */
function extrasOf({ backend }: SharedEngine): Pick<SharedEngine["backend"], "occupancy" | "speeds" | "watch"> {
  const { occupancy, speeds, watch } = backend;
  return {
    ...occupancy === undefined ? {} : { occupancy: () => occupancy.call(backend) },
    ...speeds === undefined ? {} : { speeds: () => speeds.call(backend) },
    ...watch === undefined ? {} : { watch: (changed) => watch.call(backend, changed) },
  };
}

function known(models: readonly SharedModel[], id: string | undefined): SharedModel | undefined {
  return models.find((model) => model.id === id);
}
