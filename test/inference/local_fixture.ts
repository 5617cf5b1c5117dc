/** Local backends with a fake or a real engine, for tests. */
import assert from "node:assert/strict";
import { LocalBackend, type LocalBackendOptions } from "@ark/node/inference";
import { type LocalModel, ModelCatalogue } from "@ark/node/models";

/** The command of a worker: `fake_worker` or `worker_main`. */
export function workerCommand(name: string): string[] {
  return [Deno.execPath(), "run", "-A", new URL(`../support/${name}.ts`, import.meta.url).pathname];
}

/** A line that the fake worker wrote. */
export interface LogLine {
  type: string;
  [field: string]: unknown;
}

/** A backend with fake workers, and what they saw. */
export class FakeBackend implements AsyncDisposable {
  /** The backend. */
  readonly backend: LocalBackend;
  /** A model that it has. */
  readonly model = "fake";
  readonly #log = Deno.makeTempFileSync();

  /** Any name is a model, except those that begin with `no-`. One slot, where nothing else is said. */
  constructor(options: Partial<LocalBackendOptions> = {}) {
    this.backend = new LocalBackend({
      catalogue: { find: (ref) => ref.startsWith("no-") ? undefined : fakeModel(ref) },
      workerCommand: workerCommand("fake_worker"),
      slots: 1,
      workerEnvironment: { FAKE_WORKER_LOG: this.#log },
      ...options,
    });
  }

  /** What the workers saw so far. */
  log(type?: string): LogLine[] {
    const lines = Deno.readTextFileSync(this.#log).split("\n").filter(Boolean).map((line) => JSON.parse(line));
    return lines.filter((line) => type === undefined || line.type === type);
  }

  /** Ends the workers and removes what they wrote. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.backend[Symbol.asyncDispose]();
    await Deno.remove(this.#log);
  }
}

/** A model that only the fake worker can load. */
export function fakeModel(name: string): LocalModel {
  return {
    id: name,
    name,
    path: `/models/${name}.gguf`,
    size: 1,
    mtimeMs: 1,
    modifiedAt: 1,
    files: [`/models/${name}.gguf`],
    source: "folder",
    family: "fake",
    capabilities: ["chat", "completion"],
    template: null,
    system: null,
    defaults: {},
    aliases: [],
    architecture: "fake",
    contextLength: 1_000,
    blockCount: 1,
    parameterCount: 1_000,
    parameters: null,
    quantization: null,
    digest: "ab".repeat(32),
  };
}

/** A backend with the real engine and the fixture. */
export async function realBackend(options: Partial<LocalBackendOptions> = {}): Promise<LocalBackend> {
  const catalogue = new ModelCatalogue({ directories: ["test/fixtures"] });
  await catalogue.refresh();
  return new LocalBackend({
    catalogue,
    workerCommand: workerCommand("worker_main"),
    threads: 1,
    gpu: "off",
    ...options,
  });
}

/** Waits until something is so. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!await condition()) {
    assert.ok(performance.now() < deadline, "It did not come to pass in a minute");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Whether there is a process with this id. */
export function alive(pid: number): boolean {
  try {
    // A process that ended and was not waited for is still listed.
    return !/\) Z /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}
