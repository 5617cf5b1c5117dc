import { ArkError, toArkError } from "@ark/node/protocol";
import { invalid } from "../api/request_fault.ts";
import { given, givenFlag, modelOf, type RequestFields, requestFields } from "../api/request_fields.ts";
import type { Exchange } from "../api/serving.ts";
import type { ModelKeeper, PullProgress } from "./model_keeper.ts";
import { streamField } from "./model_options.ts";
import { jsonAnswer, jsonLine, linesAnswer } from "./ndjson.ts";
import { NotOffered, ollamaErrorBody } from "./ollama_error.ts";
import { sentJson } from "./sent_json.ts";

/** Fields of `/api/create` that make a model of files or change one; only a second name is made here. */
const MAKING = [
  "adapters",
  "files",
  "license",
  "messages",
  "modelfile",
  "parameters",
  "path",
  "quantize",
  "quantization",
  "renderer",
  "parser",
  "system",
  "template",
];

/** Who asks for a change of what models there are. */
export interface ManagementOptions {
  /** Keeps this node's models, where it has any. */
  keeper: ModelKeeper | null;
  /** The request. */
  exchange: Exchange;
}

/**
 * `POST /api/pull`: fetches a model, told in lines that end with `success`, or in one piece. Leaving ends it.
 *
 * @throws {ArkError} before the first line.
 */
export async function pullModel(request: Request, { keeper, exchange }: ManagementOptions): Promise<Response> {
  const fields = requestFields(await sentJson(request));
  const ref = modelOrName(fields);
  const stream = streamField(fields);
  givenFlag(fields, "insecure");
  if (keeper?.pull === undefined) {
    throw new NotOffered("This node does not fetch models: put a GGUF file into a folder of --models");
  }
  const hangUp = new AbortController();
  const leave = () => hangUp.abort(request.signal.reason);
  if (request.signal.aborted) leave();
  else request.signal.addEventListener("abort", leave, { once: true });
  const progress = keeper.pull(ref, { signal: hangUp.signal })[Symbol.asyncIterator]();
  if (stream) return linesAnswer(progressLines(progress, { hangUp, exchange }));
  for (let next = await progress.next(); !next.done; next = await progress.next());
  return jsonAnswer({ status: "success" });
}

/** `DELETE /api/delete` */
export async function deleteModel(request: Request, { keeper }: ManagementOptions): Promise<Response> {
  const ref = modelOrName(requestFields(await sentJson(request)));
  if (keeper?.remove === undefined) {
    throw new NotOffered("This node removes no models: remove the file from its folder");
  }
  await keeper.remove(ref);
  return new Response(null, { status: 200 });
}

/** `POST /api/copy`: a second name for a model. */
export async function copyModel(request: Request, { keeper }: ManagementOptions): Promise<Response> {
  const fields = requestFields(await sentJson(request));
  await copy(keeper, { from: nameOf(fields, "source"), to: nameOf(fields, "destination") });
  return new Response(null, { status: 200 });
}

/** `POST /api/create`, as far as it only gives a model a second name. */
export async function createModel(request: Request, { keeper }: ManagementOptions): Promise<Response> {
  const fields = requestFields(await sentJson(request));
  const to = modelOrName(fields);
  const stream = streamField(fields);
  const other = MAKING.find((name) => !isEmpty(given(fields, name)));
  const from = given(fields, "from");
  if (other !== undefined || from === undefined) {
    throw new NotOffered(
      `This node makes no models${
        other === undefined ? "" : ` (field ${other})`
      }: with the field from alone it gives a ` +
        "model a second name; set system and options with each request",
    );
  }
  await copy(keeper, { from: nameOf(fields, "from"), to });
  const body = { status: "success" };
  return stream ? linesAnswer(ReadableStream.from([jsonLine(body)])) : jsonAnswer(body);
}

/** Blobs and pushes: this node takes no parts of models by this API and gives none away. */
export function noBlobs({ method }: Request): Response {
  // Ollama's command line asks whether a blob is there before it sends it.
  if (method === "HEAD" || method === "GET") {
    throw new ArkError("model_not_found", "There is no such blob: this node keeps models as files (not found)");
  }
  throw new NotOffered("This node takes no blobs: put a GGUF file into a folder of --models");
}

/** `POST /api/push` */
export function noPush(): Response {
  throw new NotOffered("This node pushes no models to a registry");
}

async function copy(keeper: ModelKeeper | null, { from, to }: { from: string; to: string }): Promise<void> {
  if (keeper?.copy === undefined) throw new NotOffered("This node gives models no second names");
  await keeper.copy(from, to);
}

function progressLines(
  progress: AsyncIterator<PullProgress>,
  { hangUp, exchange }: { hangUp: AbortController; exchange: Exchange },
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let succeeded = false;
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { done, value } = await progress.next();
        if (!done) {
          succeeded = value.status === "success";
          return controller.enqueue(jsonLine(value));
        }
        if (!succeeded) controller.enqueue(jsonLine({ status: "success" }));
      } catch (error) {
        if (hangUp.signal.aborted) return controller.error(error);
        const failure = toArkError(error);
        exchange.failed(failure);
        controller.enqueue(jsonLine(ollamaErrorBody(failure)));
      }
      controller.close();
    },
    async cancel(reason) {
      hangUp.abort(reason);
      // How a pull ends that nobody waits for interests nobody.
      await progress.return?.().catch(() => {});
    },
  }, { highWaterMark: 0 });
}

/** The field `model`, or `name`, as it was called before. */
function modelOrName(fields: RequestFields): string {
  return given(fields, "model") === undefined && given(fields, "name") !== undefined
    ? nameOf(fields, "name")
    : modelOf(fields);
}

function nameOf(fields: RequestFields, field: string): string {
  try {
    return modelOf({ model: given(fields, field) });
  } catch {
    throw invalid(field, "must be the name of a model, such as llama3.1:8b");
  }
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === "") return true;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
