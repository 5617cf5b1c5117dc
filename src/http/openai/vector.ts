import { Buffer } from "node:buffer";
import { ArkError } from "@ark/node/protocol";
import { invalid } from "../api/request_fault.ts";

/** Bytes of one number. */
const FLOAT32 = 4;

/** Numbers of a vector that came as float32 in little-endian order, in base64. */
export function vectorNumbers(values: string): Float32Array<ArrayBuffer> {
  const bytes = Buffer.from(values, "base64");
  if (bytes.length === 0 || bytes.length % FLOAT32 !== 0) {
    throw new ArkError("engine_failed", "The engine gave a vector that is none; ask again");
  }
  const numbers = new Float32Array(bytes.length / FLOAT32);
  for (let at = 0; at < numbers.length; at++) numbers[at] = bytes.readFloatLE(at * FLOAT32);
  // JSON has no word for what is no number.
  if (!numbers.every(Number.isFinite)) {
    throw new ArkError("engine_failed", "The engine gave a vector with something else than numbers; ask again");
  }
  return numbers;
}

/**
 * The first numbers of a vector, brought back to length 1.
 *
 * @throws {RequestFault} where it has not so many.
 */
export function cutVector(values: string, dimensions: number): string {
  const all = vectorNumbers(values);
  if (dimensions > all.length) {
    throw invalid("dimensions", `must be at most ${all.length}: the vectors of this model have no more numbers`);
  }
  if (dimensions === all.length) return values;
  const first = all.subarray(0, dimensions);
  const length = Math.hypot(...first);
  const bytes = Buffer.alloc(dimensions * FLOAT32);
  first.forEach((value, at) => bytes.writeFloatLE(length === 0 ? 0 : value / length, at * FLOAT32));
  return bytes.toString("base64");
}
