/**
 * Sizes and times that both ends of the mesh rely on, from `design/trust.md` section 5. Bytes and milliseconds.
 */
export const LIMITS = {
  /** Largest body of a mesh request: 1 MiB. */
  requestBodyBytes: 1 << 20,
  /** Largest single event of a mesh stream: 256 KiB. */
  eventBytes: 256 << 10,
  /** Most bytes of one mesh stream: 16 MiB, some hundred times what `peerMaxTokens` tokens take. */
  answerBytes: 16 << 20,
  /** Largest time without any event on a running stream: 30 s. */
  interTokenMs: 30_000,
  /** Longest model reference, in characters. */
  modelRefLength: 200,
  /** Most messages in one chat request. */
  messages: 2_000,
  /** Most functions that a request may offer. */
  tools: 256,
  /** Most calls in one message. */
  toolCalls: 128,
  /** Longest JSON schema or grammar, in characters. */
  schemaLength: 128 << 10,
  /** Deepest JSON schema, in levels. */
  schemaDepth: 64,
  /** Most tokens whose score a request may change. */
  logitBiases: 1_024,
  /** Most additions to a model in one request. */
  loras: 8,
  /** Most alternatives that are told of a token. */
  topLogprobs: 20,
  /** Most texts in one request for vectors. */
  embedTexts: 2_048,
  /** Most documents in one request to put them in order. */
  rerankDocuments: 2_048,
  /** Most stop texts in one request. */
  stops: 16,
  /** Longest stop text, in characters. */
  stopLength: 256,
  /** Most tokens of prompt and answer together with which an answer is gone on elsewhere; as text some 175,000 characters. */
  resumedTokens: 32_768,
  /** Most tokens of which one part of an answer tells the ids. */
  partIds: 4_096,
  /** Most models in one offer. */
  offeredModels: 4_096,
  /** Tokens that a peer gets where it asked for more, or for no number. */
  peerMaxTokens: 2_048,
  /** Longest name of a node, in characters. */
  nameLength: 64,
} as const;
