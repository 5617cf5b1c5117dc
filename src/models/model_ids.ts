import type { LocalModel } from "./local_model.ts";

/** A model that has no id yet. */
export type NamelessModel = Omit<LocalModel, "id" | "aliases"> & {
  /** The part of the id after the colon. */
  readonly tag: string;
  /** Name of its file without `.gguf`, lower case, or null. */
  readonly stem: string | null;
  /** Further names that its store has for it. */
  readonly names: readonly string[];
};

/** A second name and what it means. */
export interface Alias {
  /** Lower case. */
  readonly name: string;
  /** Id or another name of a model. */
  readonly model: string;
}

const ALIAS_REGEXP = /^[a-z0-9](?:[a-z0-9._:/-]{0,198}[a-z0-9])?$/;

/** Whether a text can be a second name: lower case, letters, digits and `._:/-` between them, at most 200 characters. */
export function isModelAlias(text: string): boolean {
  return ALIAS_REGEXP.test(text) && !text.includes("..") && !text.includes("//");
}

/** A name as it is compared: lower case, and without the tag `latest`, which stands for none. */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/:latest$/, "");
}

/** All models with their ids and names. */
export interface NamedModels {
  /** In the order of their ids. */
  readonly models: readonly LocalModel[];
  /** Second names that cannot count, each with a sentence. */
  readonly conflicts: readonly { name: string; reason: string }[];
  /** The model that a person means. */
  find(ref: string): LocalModel | undefined;
}

/**
 * Gives each model an id of its own: in the order in which they come, a second `name:tag` becomes `name:tag-2`. A name
 * means, in this order: an id, an id with the tag `latest`, a second name, a file's name, and a bare name that one model
 * alone has. So a second name never stands before a model's own.
 */
export function nameModels(nameless: readonly NamelessModel[], aliases: readonly Alias[] = []): NamedModels {
  const ids = withIds(nameless);
  const byId = new Map(ids.map((id, index) => [id, index]));
  const byStem = unique(nameless.map(({ stem }) => stem));
  const byName = unique(nameless.map(({ name }) => name));
  const real = (ref: string): number | undefined => {
    const wanted = ref.toLowerCase();
    return byId.get(wanted) ?? byId.get(`${wanted}:latest`) ?? byStem.get(wanted) ?? byName.get(plainName(wanted));
  };
  const second = new Map<string, number>();
  const names = nameless.map((): string[] => []);
  const conflicts: { name: string; reason: string }[] = [];
  const add = (name: string, index: number) => {
    second.set(plainName(name), index);
    names[index]?.push(name);
  };
  for (const { name, model } of aliases) {
    const index = real(model) ?? second.get(plainName(model));
    if (byId.has(name) || byId.has(`${plainName(name)}:latest`)) {
      conflicts.push({ name, reason: `The name ${name} is a model's own already: choose another one for ${model}` });
    } else if (index !== undefined && !second.has(plainName(name))) add(name, index);
  }
  for (const [index, model] of nameless.entries()) {
    for (const name of model.names) if (!byId.has(name) && !second.has(plainName(name))) add(name, index);
  }
  const models = nameless.map(({ tag: _, stem: __, names: ___, ...model }, index): LocalModel => ({
    id: ids[index] ?? "",
    ...model,
    aliases: names[index] ?? [],
  }));
  return {
    models: models.toSorted((a, b) => a.id < b.id ? -1 : 1),
    conflicts,
    find(ref) {
      const wanted = ref.toLowerCase();
      const index = byId.get(wanted) ?? byId.get(`${wanted}:latest`) ?? second.get(plainName(wanted)) ?? real(wanted);
      return index === undefined ? undefined : models[index];
    },
  };
}

function withIds(models: readonly NamelessModel[]): string[] {
  const natural = new Set(models.map(({ name, tag }) => `${name}:${tag}`));
  const taken = new Set<string>();
  return models.map(({ name, tag }) => {
    const plain = `${name}:${tag}`;
    let id = plain;
    for (let n = 2; taken.has(id) || (id !== plain && natural.has(id)); n++) id = `${plain}-${n}`;
    taken.add(id);
    return id;
  });
}

/** Where each text stands that is there once; those that are there twice mean nobody. */
function unique(texts: readonly (string | null)[]): Map<string, number> {
  const found = new Map<string, number>();
  const twice = new Set<string>();
  for (const [index, text] of texts.entries()) {
    if (text === null) continue;
    if (found.has(text)) twice.add(text);
    found.set(text, index);
  }
  for (const text of twice) found.delete(text);
  return found;
}
