/** The threat table: every row of `design/trust.md` section 8, in one place. */

/** One row of the table. */
export interface Row {
  /** `T01` to `T66`. */
  id: string;
  /** Who does what, in one line. */
  title: string;
  /** Whether it is one of the headline rows, which must not be left uncovered. @default {false} */
  star?: true;
  /** What no test shows yet, and why; where there is no test at all, the reason for that. */
  missing?: string;
}

/** Rows that must have tests. */
export const LEAST_COVERED = 45;

/** All rows, in their order. */
export const ROWS: readonly Row[] = [
  { id: "T01", star: true, title: "A stranger calls the mesh port unsigned, wrongly signed or unapproved" },
  { id: "T02", star: true, title: "A revoked peer goes on streaming, reconnects or resumes" },
  { id: "T03", title: "Approvals and revocations race with each other and with edits by hand" },
  { id: "T04", star: true, title: "A request is replayed: here, elsewhere, after a restart, after a clock step" },
  { id: "T05", title: "A byte of a signed request is changed" },
  { id: "T06", title: "Tricks with the grammar of the signature" },
  { id: "T07", star: true, title: "A victim's name is advertised over mDNS from another address" },
  { id: "T08", title: "A man in the middle between two approved peers" },
  { id: "T09", title: "Small-order and non-canonical keys and signatures" },
  { id: "T10", title: "The key file is stolen or readable by others" },
  { id: "T11", title: "Key rotation is abused" },
  { id: "T12", star: true, title: "DNS rebinding from a page in the owner's browser" },
  { id: "T13", star: true, title: "Cross-site requests from a page in the owner's browser" },
  { id: "T14", star: true, title: "A reverse proxy makes a stranger look local" },
  { id: "T15", title: "Another user of the machine uses the local API" },
  { id: "T16", title: "An endpoint that leads to where it must not" },
  {
    id: "T17",
    star: true,
    title: "Path traversal in the name of a model or of its file",
  },
  { id: "T18", title: "A peer serves other bytes than the model's" },
  { id: "T19", star: true, title: "A hostile GGUF file" },
  { id: "T20", title: "A chat template that calls out" },
  { id: "T21", title: "A peer fills the disk by pulling" },
  { id: "T22", star: true, title: "Bodies too large, of a false length, or without end" },
  { id: "T23", star: true, title: "Slow headers, slow bodies, slow readers, idle connections" },
  { id: "T24", title: "A flood of handshakes" },
  { id: "T25", star: true, title: "A provider answers with a decompression bomb" },
  { id: "T26", title: "A provider's stream without end, without pace or without receipt" },
  { id: "T27", title: "A provider injects events, fields, tool calls or another model's answer" },
  { id: "T28", star: true, title: "The audit log is edited, shortened or reordered" },
  { id: "T29", title: "Two peers are shown two different logs" },
  { id: "T30", star: true, title: "The disk is full or fails while a request is recorded" },
  { id: "T31", star: true, title: "The node is killed between recording and answering" },
  { id: "T32", title: "The clock jumps" },
  { id: "T33", title: "Text of a prompt in logs, audit, errors, metrics or files" },
  { id: "T34", star: true, title: "State of one principal's prompt is reused for another" },
  { id: "T35", title: "Timing tells whether somebody else used a prefix" },
  { id: "T36", star: true, title: "Parameters that cost without limit" },
  { id: "T37", title: "Parameters that reload, evict or reconfigure a model" },
  { id: "T38", star: true, title: "A peer exceeds its concurrency, rate or daily tokens" },
  { id: "T39", star: true, title: "Peers starve the owner" },
  { id: "T40", title: "Hostile JSON: prototypes, depth, duplicate keys, numbers" },
  { id: "T41", title: "Log lines are forged by names" },
  { id: "T42", title: "The pending list is flooded, or filled with look-alikes" },
  { id: "T43", title: "The owner is tricked into approving another node" },
  { id: "T44", title: "A registry forges or withholds entries" },
  { id: "T45", title: "Discovery is flooded with nodes" },
  { id: "T46", title: "Honest peers are hidden in discovery" },
  { id: "T47", title: "A peer introduces others" },
  { id: "T48", title: "A peer lies about its load" },
  { id: "T49", title: "A provider runs a smaller model", missing: "spot checks come with verification (issue 5)" },
  { id: "T50", title: "Downgrade of TLS or of the profile" },
  { id: "T51", title: "A passive observer learns ids, names or models" },
  { id: "T52", title: "Request smuggling" },
  { id: "T53", title: "Requests are aborted again and again to burn the GPU" },
  { id: "T54", title: "A provider dies in the middle of an answer" },
  { id: "T55", title: "The network or the address changes" },
  { id: "T56", title: "One direction of the network is lost" },
  { id: "T57", title: "A dependency, the runtime or a release was tampered with" },
  { id: "T58", title: "The process reads or reaches more than it needs" },
  { id: "T59", title: "Local malware reads metrics and status" },
  { id: "T60", title: "Upgrade, CONNECT, TRACE, Expect and h2c on the mesh port" },
  { id: "T61", title: "A peer uses this node as a relay" },
  { id: "T62", title: "A peer finds out who else is approved" },
  { id: "T63", title: "An old backup brings old approvals back" },
  { id: "T64", title: "Memory: idle connections, nonces, pending streams" },
  { id: "T65", title: "An app sends to peers what should stay here" },
  { id: "T66", title: "The node phones home" },
];
