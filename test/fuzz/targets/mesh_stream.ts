import assert from "node:assert/strict";
import {
  ALIVE_FRAME,
  ArkError,
  decodeFrame,
  encodeErrorFrame,
  encodeEventFrame,
  type InferenceEvent,
  type MeshFrame,
} from "@ark/node/protocol";
import { answerEvents } from "../../routing/scripted_peer.ts";
import { mutateFrames, readFrames } from "../frames.ts";
import { type FuzzTarget, showBytes, shrinkBytes } from "../target.ts";
import { RECEIPT_FRAME } from "./receipt.ts";

const STREAM = Uint8Array.from([
  ...answerEvents("tiny:1b").flatMap((event) => [...encodeEventFrame(event)]),
  ...RECEIPT_FRAME,
]);
const FAILED = Uint8Array.from([
  ...ALIVE_FRAME,
  ...encodeEventFrame({ type: "start", model: "x", digest: null, prompt_tokens: 0 }),
  ...encodeErrorFrame(new ArkError("busy", "It is busy; ask later")),
]);

/** Frames, right and wrong, to put anywhere. */
const FRAMES = [
  ": alive\n\n",
  "\n\n",
  "data: [DONE]\n\n",
  'data: {"type":"text","text":"b","tokens":1,"tool_calls":[]}\n\n',
  'data: {"type":"end","finish_reason":"stop","usage":{"prompt_tokens":-0,"completion_tokens":1},"timings":null}\n\n',
  'event: ark-error\ndata: {"error":{"code":"ark_unauthorized","message":"\\u2028\\u0000"}}\n\n',
  "event: ark-receipt\ndata: {}\n\n",
  "id: 1\nretry: 1\n\n",
];

/** What a stream comes to when it arrives in pieces of this size; null where it is refused. */
function read(bytes: Uint8Array, size: number): MeshFrame[] | null {
  return readFrames(bytes, { size, decode: decodeFrame });
}

/** Frames as text, which is compared far sooner than they are. */
function textOf(frames: MeshFrame[] | null): string {
  return JSON.stringify(frames, (_, value) => value instanceof ArkError ? [value.code, value.message] : value);
}

const FIELDS: Record<InferenceEvent["type"], RegExp> = {
  start: /^type,model,digest,prompt_tokens$/,
  text: /^type,text,tokens(,logprobs)?$/,
  reasoning: /^type,text,tokens$/,
  tool_call: /^type,index,id,name,tokens$/,
  tool_arguments: /^type,index,text,tokens$/,
  vector: /^type,index,values$/,
  score: /^type,index,score$/,
  end: /^type,finish_reason,(stop_text,)?usage,timings$/,
};

/** A peer's stream of frames. */
export const meshStream: FuzzTarget<Uint8Array> = {
  name: "mesh_stream",
  promise: "A stream is refused as unavailable, or is the same frames however it is cut, with known fields only.",
  corpus: [STREAM, FAILED],
  covers: ["/src/protocol/"],
  mutate: (random, bytes, other) => mutateFrames(random, bytes, { other, frames: FRAMES }),
  check(bytes) {
    const frames = read(bytes, 7);
    assert.equal(textOf(read(bytes, bytes.length || 1)), textOf(frames));
    for (const frame of frames ?? []) {
      if (frame.type === "event") {
        assert.match(Object.keys(frame.event).join(), FIELDS[frame.event.type]);
        assert.deepEqual(decodeFrame(encodeEventFrame(frame.event)), frame);
      }
      if (frame.type === "error") assert.match(frame.error.message, /^[^\p{C}\p{Zl}\p{Zp}]{1,600}$/u);
    }
    return frames !== null && frames.length > 0;
  },
  show: showBytes,
  shrink: shrinkBytes,
};
