import type { TokenChance, TokenLogprob } from "@ark/node/protocol";

/** What the least likely token gets: a logarithm of zero is no number in JSON. */
const LEAST = -1e4;

/** Tells how likely tokens were, before any parameter of a request had its effect. */
export function tokenLogprob(
  logits: Float32Array,
  { token, top, bytesOf }: { token: number; top: number; bytesOf: (token: number) => Uint8Array },
): TokenLogprob {
  const norm = logSumExp(logits);
  const chance = (of: number): TokenChance => {
    const bytes = bytesOf(of);
    const logprob = Math.min(0, Math.max(LEAST, (logits[of] ?? -Infinity) - norm));
    return { token: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes), bytes: [...bytes], logprob };
  };
  return { ...chance(token), top: likeliest(logits, top).map(chance) };
}

/** Logarithm of the sum of the exponentials. */
export function logSumExp(logits: Float32Array): number {
  let most = -Infinity;
  for (const logit of logits) if (logit > most) most = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  return most + Math.log(sum);
}

/** The tokens with the highest scores, the highest first; of equal ones that with the lower number. */
export function likeliest(logits: Float32Array, count: number): number[] {
  const best: number[] = [];
  if (count <= 0) return best;
  let least = -Infinity;
  for (let token = 0; token < logits.length; token++) {
    const logit = logits[token] ?? -Infinity;
    if (best.length === count && logit <= least) continue;
    let at = best.length;
    while (at > 0 && (logits[best[at - 1] ?? 0] ?? 0) < logit) at--;
    best.splice(at, 0, token);
    if (best.length > count) best.pop();
    least = logits[best[best.length - 1] ?? 0] ?? -Infinity;
  }
  return best;
}
