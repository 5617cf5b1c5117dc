import { ArkError, reasonOf } from "@ark/node/protocol";
import { writeDurably } from "@ark/node/store";
import { type CopyWish, isCopies, MOST_COPIES, MOST_WISHES } from "./copy_state.ts";

/** What the owner of this node wishes, kept in a file. */
export class CopyWishes {
  readonly #path: string;
  #wishes: CopyWish[];
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(path: string, wishes: CopyWish[]) {
    this.#path = path;
    this.#wishes = wishes;
  }

  /**
   * Reads what was kept.
   *
   * @throws {SyntaxError} with a sentence where the file makes no sense.
   */
  static async open(path: string): Promise<CopyWishes> {
    let text: string;
    try {
      text = await Deno.readTextFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return new CopyWishes(path, []);
      throw error;
    }
    try {
      const { wishes } = JSON.parse(text) as { wishes: CopyWish[] };
      const sound = wishes.every(({ model, copies }) => typeof model === "string" && isCopies(copies));
      if (!sound || wishes.length > MOST_WISHES) throw new SyntaxError("a wish in it is none");
      return new CopyWishes(path, wishes.map(({ model, copies }) => ({ model, copies })));
    } catch (error) {
      throw new SyntaxError(`${path} is damaged (${reasonOf(error)}): mend or remove it`);
    }
  }

  /** All wishes, by model. */
  list(): readonly CopyWish[] {
    return this.#wishes;
  }

  /**
   * Wishes for so many copies of a model, or null for as many as there are.
   *
   * @throws {ArkError} `bad_request`
   */
  async set(model: string, copies: number | null): Promise<void> {
    if (copies !== null && !isCopies(copies)) {
      throw new ArkError("bad_request", `A number of copies is a whole number from 1 to ${MOST_COPIES}`);
    }
    const others = this.#wishes.filter((wish) => wish.model !== model);
    const wishes = copies === null ? others : [...others, { model, copies }];
    if (wishes.length > MOST_WISHES) {
      throw new ArkError("bad_request", `There are ${MOST_WISHES} wishes for copies already: take one back first`);
    }
    this.#wishes = wishes.sort((a, b) => a.model < b.model ? -1 : 1);
    const write = this.#writing.then(() => this.#write());
    this.#writing = write.catch(() => {});
    await write;
  }

  async #write(): Promise<void> {
    await writeDurably(this.#path, JSON.stringify({ wishes: this.#wishes }, null, 2) + "\n");
  }
}
