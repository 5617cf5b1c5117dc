import { ArkError, type GenerationParameters } from "@ark/node/protocol";
import type { LoraFile } from "../engine.ts";
import { cString, type Libraries } from "./libraries.ts";
import type { NativeModel } from "./native_model.ts";

/** Additions to a model, with their weights. A batch has one set. */
export interface LoraSet {
  /** The same for the same set. */
  readonly variant: string;
  readonly adapters: readonly { adapter: bigint; scale: number }[];
}

/** The additions that requests may name, in memory. */
export class Loras {
  readonly #libraries: Libraries;
  readonly #adapters = new Map<string, bigint>();

  /**
   * Loads the files; they go with the model.
   *
   * @throws {Error} where one does not belong to the model.
   */
  constructor(libraries: Libraries, model: NativeModel, files: readonly LoraFile[]) {
    this.#libraries = libraries;
    for (const { name, path } of files) {
      const adapter = libraries.llama.llama_adapter_lora_init(model.pointer, cString(path)) as bigint;
      if (adapter === 0n) throw new Error(`the addition "${name}" cannot be loaded, or does not belong to this model`);
      this.#adapters.set(name, adapter);
    }
  }

  /**
   * The set that a request names.
   *
   * @throws {ArkError} `bad_request` where there is none of a name.
   */
  set(wanted: GenerationParameters["lora"]): LoraSet {
    const used = (wanted ?? []).filter(({ scale }) => scale !== 0);
    const adapters = used.map(({ name, scale }) => {
      const adapter = this.#adapters.get(name);
      if (adapter === undefined) {
        throw new ArkError("bad_request", "The request names a LoRA adapter that this model was not given; see --lora");
      }
      return { adapter, scale };
    });
    return { variant: JSON.stringify(used.map(({ name, scale }) => [name, scale])), adapters };
  }

  /** Puts a set to use for what is computed next. */
  apply(context: Deno.PointerValue, { adapters }: LoraSet): void {
    const pointers = BigUint64Array.from(adapters, ({ adapter }) => adapter);
    const scales = Float32Array.from(adapters, ({ scale }) => scale);
    const bytes = (array: { buffer: ArrayBuffer }) => adapters.length === 0 ? null : new Uint8Array(array.buffer);
    const result = this.#libraries.llama.llama_set_adapters_lora(
      context,
      bytes(pointers),
      BigInt(adapters.length),
      bytes(scales),
    );
    if (result !== 0) throw new Error(`llama_set_adapters_lora() returned ${result}`);
  }
}
