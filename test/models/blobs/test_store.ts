import { join } from "node:path";
import {
  BlobShelf,
  type DownloadLimits,
  ModelCatalogue,
  ModelStore,
  OwnRecords,
  type PullProgress,
} from "@ark/node/models";
import { identityOfSeed, until } from "../../transport/mesh_fixture.ts";

/** The small trained model: two chunks. */
export const FIXTURE = "test/fixtures/arkling-9m-q4_0.gguf";

/** What {@linkcode TestStore.open} makes. */
export interface TestStoreOptions {
  seed?: number;
  approval?: boolean;
  directories?: string[];
  ollama?: string;
  limits?: Partial<DownloadLimits>;
}

/** A node's own store with all that stands around it, without the node. */
export class TestStore implements AsyncDisposable {
  readonly root: string;
  readonly catalogue: ModelCatalogue;
  readonly shelf: BlobShelf;
  readonly store: ModelStore;

  private constructor(root: string, options: TestStoreOptions) {
    const { seed = 1, approval = false, directories = [], ollama, limits = {} } = options;
    this.root = root;
    const records = new OwnRecords(root);
    this.catalogue = new ModelCatalogue({ directories, own: records, ...ollama === undefined ? {} : { ollama } });
    this.shelf = new BlobShelf({ catalogue: this.catalogue, identity: identityOfSeed(seed) });
    this.store = new ModelStore({ catalogue: this.catalogue, records, approval, shelf: this.shelf, limits });
  }

  /** Opens a store in a folder, with what is there; it has no digests yet. */
  static async open(directory: string, options: TestStoreOptions = {}): Promise<TestStore> {
    const root = join(directory, "models");
    await Deno.mkdir(root, { recursive: true });
    const store = new TestStore(root, options);
    await store.catalogue.refresh();
    return store;
  }

  /** Waits until all digests are known. */
  async hash(): Promise<void> {
    const stop = new AbortController();
    const running = this.catalogue.run(stop.signal);
    await until(() => this.catalogue.list().every(({ digest }) => digest !== null));
    stop.abort();
    await running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shelf[Symbol.asyncDispose]();
  }
}

/** All that a pull tells. */
export async function all(progress: AsyncIterable<PullProgress>): Promise<PullProgress[]> {
  return await Array.fromAsync(progress);
}

/** Names of all files below a folder, in order. */
export async function filesBelow(directory: string, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    if (isDirectory) found.push(...await filesBelow(join(directory, name), `${prefix}${name}/`));
    else found.push(prefix + name);
  }
  return found.sort();
}
