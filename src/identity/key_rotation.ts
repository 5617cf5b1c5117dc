import { dirname, join, resolve } from "node:path";
import type { Identity } from "./identity.ts";
import { createKeyFile, IdentityError, readKeyFile, syncDirectory, writeSecret } from "./key_file.ts";
import { decodeRotations, MOST_ROTATIONS, type SignedRotation, signRotation } from "./rotation.ts";

/**
 * The rotations that led to a node's key, oldest first; none where it still has its first one.
 *
 * @param path of the key file; they lie beside it in `node.rotation.json`.
 * @throws {IdentityError} when the file is not what this program wrote.
 */
export async function readRotations(path: string): Promise<SignedRotation[]> {
  const file = rotationFile(path);
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  try {
    return decodeRotations(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : String(error);
    throw new IdentityError(
      `The file ${file} is damaged (${reason}): restore it from a backup, or move it away, and peers that did not hear ` +
        "of the new key yet must approve this node anew",
    );
  }
}

/**
 * Makes the key that is to follow a node's key, and the statement that both sign. The node goes on with its old key until
 * {@linkcode finishRotation}. When a rotation waits already, it is that one.
 *
 * Only the holder of the data directory may call it, one at a time. A crash at any point leaves the old key as it was.
 *
 * @throws {IdentityError} when there is no key yet, or a file is not as it must be.
 */
export async function prepareRotation(path: string): Promise<SignedRotation> {
  const file = resolve(path);
  const current = await readKeyFile(file);
  if (current === null) throw new IdentityError(`There is no key at ${file} yet, so there is none to follow`);
  const before = await readRotations(file);
  const waiting = await readKeyFile(nextFile(file));
  const last = before.at(-1);
  if (waiting !== null && last?.old === current.id && last.new === waiting.id) return last;
  // One that was made before a crash was told to nobody, and is as good as a new one.
  const next = waiting ?? await createKeyFile(nextFile(file)) ??
    failed(`The file ${nextFile(file)} appeared while it was made`);
  const rotation = signRotation({ old: current, new: next }, {
    seq: (last?.seq ?? 0) + 1,
    created: new Date().toISOString(),
  });
  const chain = last?.new === current.id ? [...before, rotation].slice(-MOST_ROTATIONS) : [rotation];
  await writeSecret(rotationFile(file), JSON.stringify({ rotations: chain }, null, 2) + "\n");
  return rotation;
}

/**
 * Puts a prepared key in the place of the old one, which stays beside it as `node.key.old-<seq>`. Returns the rotation, or
 * null where none waits. What a crash interrupted is completed by the next call.
 *
 * @throws {IdentityError} when a file is not as it must be; the old key is still in its place then.
 */
export async function finishRotation(path: string): Promise<SignedRotation | null> {
  const file = resolve(path);
  const next = await readKeyFile(nextFile(file));
  const rotation = next === null ? undefined : (await readRotations(file)).at(-1);
  // Without a statement that is durable the new key follows nobody.
  if (next === null || rotation?.new !== next.id) return null;
  const current = await readKeyFile(file);
  if (current !== null) {
    if (current.id !== rotation.old) return null;
    await keep(current, { file, as: `${file}.old-${rotation.seq}` });
  }
  await Deno.rename(nextFile(file), file);
  await syncDirectory(dirname(file));
  return rotation;
}

async function keep(identity: Identity, { file, as }: { file: string; as: string }): Promise<void> {
  try {
    await Deno.link(file, as);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    if ((await readKeyFile(as))?.id !== identity.id) failed(`The file ${as} holds another key: move it away`);
  }
  await syncDirectory(dirname(file));
}

function nextFile(file: string): string {
  return `${file}.next`;
}

function rotationFile(path: string): string {
  return join(dirname(resolve(path)), "node.rotation.json");
}

function failed(sentence: string): never {
  throw new IdentityError(sentence);
}
