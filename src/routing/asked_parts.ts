import { ArkError, type InferenceEvent, type InferenceRequest } from "@ark/node/protocol";

/** Sees to it that an answer has nothing that was not asked for: no call of a function where there is none to call. */
export class AskedParts {
  readonly #allowed: ReadonlySet<InferenceEvent["type"]>;
  #called: boolean;

  /** Goes by what was asked. */
  constructor(request: Pick<InferenceRequest, "input" | "count_only" | "resume">) {
    // What is gone on with may have called before.
    this.#called = request.resume !== undefined;
    this.#allowed = new Set(["start", "end", ...request.count_only === true ? [] : partsOf(request)] as const);
  }

  /**
   * Takes note of an event.
   *
   * @throws {ArkError} `unavailable`: who answers something else than was asked cannot answer.
   */
  take(event: InferenceEvent): void {
    if (event.type === "tool_call") this.#called = true;
    const idle = event.type === "end" && event.finish_reason === "tool_calls" && !this.#called;
    if (idle || !this.#allowed.has(event.type)) {
      throw new ArkError("unavailable", "The peer answered something else than it was asked");
    }
  }
}

function partsOf({ input }: Pick<InferenceRequest, "input">): InferenceEvent["type"][] {
  switch (input.kind) {
    case "chat": {
      const mayCall = (input.tools ?? []).length > 0 && input.tool_choice !== "none";
      return mayCall ? ["text", "reasoning", "tool_call", "tool_arguments"] : ["text", "reasoning"];
    }
    case "completion":
      return ["text", "reasoning"];
    case "embed":
      return ["vector"];
    case "rerank":
      return ["score"];
  }
}
