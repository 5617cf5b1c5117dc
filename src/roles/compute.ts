import type { Role } from "@ark/node/daemon";
import { LocalBackend } from "@ark/node/inference";
import { ModelCatalogue } from "@ark/node/models";

/** Runs models on this machine, for its owner and for approved peers. */
export const COMPUTE: Role = {
  name: "compute",
  api: false,
  engine({ config, store, logger, workerCommand }) {
    const catalogue = new ModelCatalogue({ directories: config.modelDirectories, store, logger });
    const backend = new LocalBackend({
      catalogue,
      workerCommand,
      name: config.name,
      gpu: config.gpu,
      contextSize: config.contextSize,
      maxLoaded: config.maxLoaded,
      logger,
      ...(config.threads === null ? {} : { threads: config.threads }),
      ...(config.vramReserve === null ? {} : { vramReserve: config.vramReserve }),
    });
    return { backend, catalogue };
  },
};
