import { type DnsMessage, type DnsQuestion, type DnsRecord, recordKey, sameRecord } from "./dns_message.ts";
import { claimed, ENUMERATION, type OwnRecords, SERVICE } from "./own_records.ts";

/** What to say to a query. */
export interface Answer {
  /** Records that were asked for. */
  records: DnsRecord[];
  /** How long to wait, drawn evenly from this range of milliseconds, so that not everybody answers at once. */
  delayMs: readonly [least: number, most: number];
  /** Whether the asker would take a packet to itself alone, if the network was told the same not long ago. */
  unicast: boolean;
}

const AT_ONCE = [0, 0] as const;
const SHARED = [20, 120] as const;
const MORE_TO_COME = [400, 500] as const;

/** Decides what to answer to a query on one link, or null for nothing. Pure. */
export function answerTo(message: DnsMessage, own: OwnRecords): Answer | null {
  if (message.response) return null;
  const asked = message.questions.flatMap((question) => matching(question, own));
  const records = distinct(asked).filter((record) => !isKnown(record, message.answers));
  if (records.length === 0) return null;
  // Others may answer a question for a pointer too; the rest is ours alone.
  const shared = records.some((record) => record.type === "PTR");
  return {
    records,
    delayMs: message.truncated ? MORE_TO_COME : shared ? SHARED : AT_ONCE,
    unicast: message.questions.every((question) => question.unicast || matching(question, own).length === 0),
  };
}

/** What comes along with answers because the asker will want it next (RFC 6763 section 12). */
export function additionalsFor(records: readonly DnsRecord[], own: OwnRecords): DnsRecord[] {
  const along = records.flatMap((record) => {
    if (sameRecord(record, own.pointer)) return [own.service, own.text, ...own.addresses];
    return record.type === "SRV" ? own.addresses : [];
  });
  return distinct(along).filter((record) => !records.some((answer) => sameRecord(answer, record)));
}

/** Leaves out what the asker knows already, with at least half of its time left (RFC 6762 section 7.1). */
export function isKnown(record: DnsRecord, known: readonly DnsRecord[]): boolean {
  return known.some((other) => sameRecord(record, other) && other.ttl >= record.ttl / 2);
}

/**
 * Whether somebody else claims one of our names for something else (RFC 6762 section 9). Pure.
 *
 * @param own what we say on each link: a reflector may carry what we said on one to another.
 */
export function isConflict(message: DnsMessage, own: readonly OwnRecords[]): boolean {
  if (!message.response) return false;
  const ours = own.flatMap(claimed);
  return [...message.answers, ...message.additionals].some((record) =>
    record.ttl > 0 && ours.some((mine) => mine.name === record.name) &&
    ours.some((mine) => mine.type === record.type) && !ours.some((mine) => sameRecord(mine, record))
  );
}

function matching({ name, type }: DnsQuestion, own: OwnRecords): DnsRecord[] {
  const all = name === ENUMERATION
    ? [own.enumeration]
    : name === SERVICE
    ? [own.pointer]
    : [own.service, own.text, ...own.addresses].filter((record) => record.name === name);
  return all.filter((record) => type === "ANY" || record.type === type);
}

function distinct(records: readonly DnsRecord[]): DnsRecord[] {
  return [...new Map(records.map((record) => [recordKey(record), record])).values()];
}
