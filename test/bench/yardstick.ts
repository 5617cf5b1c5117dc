/** How fast this machine is right now, so that figures of two machines, or of a busy hour, can be told apart. */
import { generateIdentity, verify } from "@ark/node/identity";
import { heading, row, Samples } from "./samples.ts";

const ROUNDS = 200;
/** Between two samples, as between two requests: caches are cold and disk and processor have dozed off. */
const REST_MS = 3;

/** Measures and prints. */
export async function yardstick(): Promise<void> {
  const identity = generateIdentity();
  const message = new Uint8Array(1_024).fill(97);
  const signature = identity.sign(message);
  const [verified, synced] = [new Samples(), new Samples()];
  const path = await Deno.makeTempFile({ prefix: "ark-bench-" });
  const file = await Deno.open(path, { append: true });
  for (let round = 0; round < ROUNDS; round++) {
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
    let began = performance.now();
    if (!verify(identity.publicKey, message, signature)) throw new Error("The signature is not valid");
    verified.add(performance.now() - began);
    began = performance.now();
    file.writeSync(message);
    file.syncDataSync();
    synced.add(performance.now() - began);
  }
  file.close();
  await Deno.remove(path);
  heading("0. This machine now");
  row("verify an Ed25519 signature", verified);
  row("write 1 KiB durably", synced);
}
