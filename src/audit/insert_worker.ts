/**
 * Thread of {@linkcode InsertThread}. The first message is the path of the database, the answer that it is open; then
 * lines and the edge of the tree come in, and the edge that has grown goes out when they are in the database.
 *
 * @module
 */
import { RowWriter } from "@ark/node/store";
import { reasonOf } from "@ark/node/protocol";
import { insertLines } from "./insert_lines.ts";
import type { InsertAnswer, InsertQuestion } from "./insert_thread.ts";
import { TreeEdge } from "./tree_edge.ts";

/** What a thread has; the types of the program are those of its main thread. */
interface Thread {
  onmessage: ((event: { data: InsertQuestion }) => void) | null;
  postMessage(message: InsertAnswer): void;
}

const thread = globalThis as unknown as Thread;
let writer: RowWriter | undefined;

thread.onmessage = ({ data }) => {
  try {
    thread.postMessage(answer(data));
  } catch (error) {
    thread.postMessage({ error: reasonOf(error) });
  }
};

function answer(question: InsertQuestion): InsertAnswer {
  if (question === "close") {
    writer?.[Symbol.dispose]();
    return { edge: null };
  }
  if (typeof question === "object" && writer !== undefined) {
    const { bytes, edge: state } = question;
    const edge = state === null ? null : TreeEdge.from(state);
    writer.batch((statements) => insertLines(statements, bytes, edge), { durable: false });
    return { edge: edge?.state() ?? null };
  }
  writer = new RowWriter(String(question));
  return { edge: null };
}
