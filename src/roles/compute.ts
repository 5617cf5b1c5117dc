import type { Role } from "@ark/node/daemon";
import { LocalBackend } from "@ark/node/inference";
import { BlobShelf, ModelCatalogue, ModelStore, OwnRecords } from "@ark/node/models";

/** Runs models on this machine, for its owner and for approved peers. */
export const COMPUTE: Role = {
  name: "compute",
  api: false,
  engine({ config, identity, store, logger, events, workerCommand }) {
    const { ollama, huggingFace, huggingFaceEndpoint, huggingFaceToken, ollamaRegistry } = config.modelStores;
    const records = new OwnRecords(config.paths.models);
    const catalogue = new ModelCatalogue({
      directories: config.modelDirectories,
      own: records,
      aliases: config.aliases,
      store,
      logger,
      ...(ollama === null ? {} : { ollama }),
      ...(huggingFace === null ? {} : { huggingFace }),
    });
    const shelf = new BlobShelf({ catalogue, identity });
    const models = new ModelStore({
      catalogue,
      records,
      huggingFaceEndpoint,
      huggingFaceToken,
      ollamaRegistry,
      approval: config.approveModels,
      shelf,
      logger,
      events,
    });
    const backend = new LocalBackend({
      catalogue,
      workerCommand,
      name: config.name,
      gpu: config.gpu,
      contextSize: config.contextSize,
      maxLoaded: config.maxLoaded,
      maxQueued: config.maxQueued,
      keepAliveMs: config.keepAliveMs,
      preload: config.preload,
      pinned: config.pinned,
      engine: config.engine,
      loras: config.loras,
      loadProgress: (model, fraction) => events.emit({ type: "load", model, fraction }),
      logger,
      ...(config.slots === null ? {} : { slots: config.slots }),
      ...(config.threads === null ? {} : { threads: config.threads }),
      ...(config.vramReserve === null ? {} : { vramReserve: config.vramReserve }),
    });
    return { backend, catalogue, models, shelf };
  },
};
