import type { Answers } from "./answers.ts";

/** The same answers; whatever is asked of them is known to be a part of the client's request with this `x-request-id`. */
export function identifiedAnswers(answers: Answers, request: string): Answers {
  return {
    ...answers.sender === undefined ? {} : { sender: answers.sender },
    models: () => answers.models(),
    infer: (asked, options) => answers.infer(asked, { ...options, request }),
  };
}
