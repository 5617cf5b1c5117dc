import type { CompletionInput, GenerationParameters } from "@ark/node/protocol";
import { textOf } from "../api/call_fields.ts";
import { checkedRequest } from "../api/checked_request.ts";
import { invalid, unsupported } from "../api/request_fault.ts";
import { given, givenFlag, modelOf, type RequestFields, requestFields } from "../api/request_fields.ts";
import { completionShape } from "./completion_shape.ts";
import { choiceCount, countOf, generationParameters, streamFields } from "./generation_fields.ts";
import { choicesOf, type Question } from "./question.ts";
import { COMPLETION_REFUSALS, refuseUnsupported } from "./refused_fields.ts";
import { type TextOrTokens, textsOf } from "./texts.ts";

/** Most choices of one request: prompts, each so many times as it is asked for. */
const MOST_CHOICES = 128;

/**
 * Reads the body of `POST /v1/completions`.
 *
 * @throws {ArkError} `bad_request`, mostly a `RequestFault`.
 */
export function completionQuestion(body: unknown): Question {
  const fields = requestFields(body);
  const model = modelOf(fields);
  refuseUnsupported(fields, COMPLETION_REFUSALS);
  const prompts = textsOf(given(fields, "prompt"), "prompt", { most: MOST_CHOICES });
  const perPrompt = choiceCount(fields);
  if (countOf(given(fields, "best_of") ?? perPrompt, "best_of") !== perPrompt) {
    throw unsupported("best_of", "must be the same as n: this node shows every answer that it writes");
  }
  if (prompts.length * perPrompt > MOST_CHOICES) {
    throw invalid("n", `must be so low that the prompts have at most ${MOST_CHOICES} answers together`);
  }
  const suffix = suffixOf(fields);
  const logprobs = completionLogprobs(fields);
  const parameters = { ...generationParameters(fields), ...logprobs };
  const requests = prompts.map((prompt) => {
    const input: CompletionInput = { kind: "completion", prompt, ...suffix === "" ? {} : { suffix } };
    return checkedRequest({ model, input, parameters }, (field) => field);
  });
  const told = logprobs.logprobs !== undefined;
  const echo = echoOf(fields, { prompts, told });
  return {
    requests: requests.flatMap((request) => choicesOf(request, perPrompt)),
    perPrompt,
    shape: completionShape({ logprobs: told, echo: (index) => echo[Math.floor(index / perPrompt)] ?? "" }),
    ...streamFields(fields),
  };
}

function suffixOf(fields: RequestFields): string {
  return textOf(given(fields, "suffix") ?? "", "suffix");
}

function completionLogprobs(fields: RequestFields): Pick<GenerationParameters, "logprobs"> {
  const most = given(fields, "logprobs");
  if (most === undefined || most === false) return {};
  if (typeof most === "number" && Number.isInteger(most) && most >= 0 && most <= 20) return { logprobs: most };
  throw invalid("logprobs", "must be a whole number from 0 to 20");
}

/** What each prompt is repeated as; nothing where that is not asked. */
function echoOf(
  fields: RequestFields,
  { prompts, told }: { prompts: readonly TextOrTokens[]; told: boolean },
): readonly string[] {
  if (!givenFlag(fields, "echo")) return [];
  if (told) {
    throw unsupported("echo", "must be false together with logprobs: a prompt's own probabilities are not known");
  }
  return prompts.map((prompt) => {
    if (typeof prompt === "string") return prompt;
    throw unsupported("echo", "must be false for a prompt of tokens: only a text is repeated");
  });
}
