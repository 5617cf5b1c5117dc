import type { KeptResponse, ResponseShelf } from "./response_shelf.ts";

/** An item as it was sent or received. */
type Item = { readonly id: string; readonly [key: string]: unknown };

/** What a sender's request names of what is kept for that sender. */
export class KeptLookup {
  readonly #shelf: ResponseShelf;
  readonly #sender: string | null;
  readonly #items = new Map<string, ReadonlyMap<string, Item>>();
  #localOnly = false;

  /** Looks for one request of a sender. */
  constructor(shelf: ResponseShelf, sender: string | null) {
    this.#shelf = shelf;
    this.#sender = sender;
  }

  /** Whether anything that was found had to stay on this machine. */
  get localOnly(): boolean {
    return this.#localOnly;
  }

  /** A response, or undefined. */
  response(id: string): KeptResponse | undefined {
    const kept = this.#shelf.get(this.#sender, id);
    this.#localOnly ||= kept?.localOnly ?? false;
    return kept;
  }

  /** An item of a response or of its request, or undefined. Its id says which response that is. */
  item(id: string): Item | undefined {
    const [, of] = /^[a-z]{2,3}_([0-9a-f]{32})i?[0-9a-f]{4}$/.exec(id) ?? [];
    if (of === undefined) return undefined;
    const responseId = `resp_${of}`;
    let items = this.#items.get(responseId);
    if (items === undefined) {
      items = itemsOf(this.response(responseId));
      this.#items.set(responseId, items);
    }
    return items.get(id);
  }
}

function itemsOf(kept: KeptResponse | undefined): ReadonlyMap<string, Item> {
  if (kept === undefined) return new Map();
  const { output } = JSON.parse(kept.body) as { output: Item[] };
  const input = JSON.parse(kept.items) as Item[];
  return new Map([...input, ...output].map((item) => [item.id, item]));
}
