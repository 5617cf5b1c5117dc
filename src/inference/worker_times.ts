/** How long a worker may take, in milliseconds. */
export interface WorkerTimes {
  /** From the start of the process to its first word. @default {60000} */
  hello: number;
  /** To load the model, or from one report of how far it has come to the next. @default {900000} */
  load: number;
  /** To turn a request into tokens: a chat template is a program in the model's file, and may not end. @default {60000} */
  tokens: number;
  /** From there to the first part of the answer, for a short prompt; a longer one has more. @default {120000} */
  firstToken: number;
  /** From one part of the answer to the next: a step of a large model on a slow CPU, other prompts included. @default {120000} */
  interToken: number;
  /** To end a request that was cancelled: a batch of a large model on a slow CPU. @default {30000} */
  cancel: number;
  /** To exit when told to. @default {5000} */
  exit: number;
  /** From its exit to the end of what it said, which others may keep open. @default {2000} */
  lastWords: number;
}

/** What a worker has where nothing else is said. */
export const WORKER_TIMES: WorkerTimes = {
  hello: 60_000,
  load: 900_000,
  tokens: 60_000,
  firstToken: 120_000,
  interToken: 120_000,
  cancel: 30_000,
  exit: 5_000,
  lastWords: 2_000,
};
