import { isIPv4, isIPv6 } from "node:net";

/** A question in a message. */
export interface DnsQuestion {
  /** Name that is asked for, lower case. */
  name: string;
  /** Type that is asked for, such as `PTR` or `ANY`. */
  type: string;
  /** Whether the answer may come by unicast (the "QU" bit of RFC 6762 section 5.4). */
  unicast: boolean;
}

interface RecordHead {
  /** Name that the record belongs to, lower case. */
  name: string;
  /** How long it may be kept, in seconds; 0 takes it back. */
  ttl: number;
  /** Whether it is all there is of this name and type (the cache-flush bit), rather than one of several. */
  flush: boolean;
}

/** A record, of the five types that DNS-SD needs. Names in the data are lower case. */
export type DnsRecord =
  | RecordHead & { type: "PTR"; data: string }
  | RecordHead & { type: "SRV"; data: { port: number; target: string } }
  | RecordHead & { type: "TXT"; data: string[] }
  | RecordHead & { type: "A" | "AAAA"; data: string };

/** A message as far as it concerns us. */
export interface DnsMessage {
  /** Number that a legacy resolver wants to see again; 0 in mDNS. */
  id: number;
  /** Whether it answers rather than asks. */
  response: boolean;
  /** Whether more known answers follow in another packet. */
  truncated: boolean;
  /** What is asked. */
  questions: DnsQuestion[];
  /** Answers; in a query, the answers that the asker knows already. */
  answers: DnsRecord[];
  /** What comes along with the answers. */
  additionals: DnsRecord[];
  /** In a query, records that the asker is about to claim for itself. */
  authorities: DnsRecord[];
}

/** Largest packet that is read, as RFC 6762 section 17 has it. */
const MOST_BYTES = 9_000;
const HEADER_BYTES = 12;
const LEAST_QUESTION_BYTES = 5;
const LEAST_RECORD_BYTES = 11;
/** Names that we and nodes like us use; others are somebody else's business. */
const NAME_REGEXP = /^(?=.{1,253}$)[!-\-/-~]{1,63}(\.[!-\-/-~]{1,63})*$/;

/**
 * Whether a packet can hold as many records as its header says. The decoder makes room for that many before it reads
 * the first one: 12 forged bytes would cost it 2 MiB.
 */
export function isPlausible(packet: Uint8Array): boolean {
  if (packet.length < HEADER_BYTES || packet.length > MOST_BYTES) return false;
  const count = (offset: number) => ((packet[offset] ?? 0) << 8) | (packet[offset + 1] ?? 0);
  const records = count(6) + count(8) + count(10);
  return HEADER_BYTES + count(4) * LEAST_QUESTION_BYTES + records * LEAST_RECORD_BYTES <= packet.length;
}

/**
 * Reads what the decoder made of a packet. Total: whatever is not of the expected shape is left out, and a message
 * that is not mDNS at all is null.
 */
export function readMessage(decoded: unknown): DnsMessage | null {
  if (!isObject(decoded)) return null;
  // RFC 6762 sections 18.3 and 18.11: other operations and errors are ignored.
  if (decoded.opcode !== "QUERY" || decoded.rcode !== "NOERROR") return null;
  return {
    id: isWhole(decoded.id, 65_535) ? decoded.id : 0,
    response: decoded.type === "response",
    truncated: decoded.flag_tc === true,
    questions: listOf(decoded.questions, readQuestion),
    answers: listOf(decoded.answers, readRecord),
    additionals: listOf(decoded.additionals, readRecord),
    authorities: listOf(decoded.authorities, readRecord),
  };
}

/** Whether two records say the same, whatever their time to live. */
export function sameRecord(a: DnsRecord, b: DnsRecord): boolean {
  return recordKey(a) === recordKey(b);
}

/** Text that is equal for records that say the same. */
export function recordKey({ name, type, data }: DnsRecord): string {
  return JSON.stringify([name, type, data]);
}

function readQuestion(question: Record<string, unknown>): DnsQuestion | null {
  const name = readName(question.name);
  // The decoder does not know the top bit of a question's class, and calls class IN with that bit by its number.
  const unicast = question.class === "UNKNOWN_32769" || question.class === "UNKNOWN_33023";
  if (name === null || typeof question.type !== "string") return null;
  if (!unicast && question.class !== "IN" && question.class !== "ANY") return null;
  return { name, type: question.type, unicast };
}

function readRecord(record: Record<string, unknown>): DnsRecord | null {
  const { type, data, ttl } = record;
  const name = readName(record.name);
  if (name === null || record.class !== "IN" || !isWhole(ttl, 0xffff_ffff)) return null;
  const head: RecordHead = { name, ttl, flush: record.flush === true };
  if (type === "PTR") {
    const target = readName(data);
    return target === null ? null : { ...head, type, data: target };
  }
  if (type === "SRV") {
    if (!isObject(data) || !isWhole(data.port, 65_535)) return null;
    const target = readName(data.target);
    return target === null ? null : { ...head, type, data: { port: data.port, target } };
  }
  if (type === "TXT") {
    const texts = Array.isArray(data) ? data : [data];
    return { ...head, type, data: texts.map(readText).filter((text) => text !== null) };
  }
  if (type === "A") return typeof data === "string" && isIPv4(data) ? { ...head, type, data } : null;
  // One address has many spellings; only in one of them can two be compared.
  if (type === "AAAA") {
    if (typeof data !== "string" || !isIPv6(data) || data.includes("%")) return null;
    return { ...head, type, data: new URL(`http://[${data}]`).hostname.slice(1, -1) };
  }
  return null;
}

function readName(name: unknown): string | null {
  return typeof name === "string" && NAME_REGEXP.test(name) ? name.toLowerCase() : null;
}

function readText(text: unknown): string | null {
  if (typeof text === "string") return text;
  return text instanceof Uint8Array ? new TextDecoder().decode(text) : null;
}

function listOf<T>(list: unknown, read: (item: Record<string, unknown>) => T | null): T[] {
  if (!Array.isArray(list)) return [];
  return list.filter(isObject).map(read).filter((item) => item !== null);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isWhole(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
}
