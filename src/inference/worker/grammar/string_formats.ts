const YEAR = '("19" | "20") [0-9] [0-9]';
const LEAP_YEAR = '("20" ([02468] [048] | [13579] [26]) | "19" ("0" [48] | [2468] [048] | [13579] [26]))';
const DAYS = '"0" [1-9] | "1" [0-9] | "2"';
const DATE = `(${YEAR} "-" (("0" [13578] | "1" [02]) "-" (${DAYS} [0-9] | "3" [01])` +
  ` | ("0" [469] | "11") "-" (${DAYS} [0-9] | "30") | "02-" (${DAYS} [0-8])) | ${LEAP_YEAR} "-02-29")`;
const SIXTY = "[0-5] [0-9]";
const TIME = `([01] [0-9] | "2" [0-3]) ":" ${SIXTY} ":" ${SIXTY} ("." [0-9]{3})? ` +
  `("Z" | [+-] ([01] [0-9] | "2" [0-3]) ":" ${SIXTY})`;
const BYTE = '("25" [0-5] | "2" [0-4] [0-9] | "1" [0-9] [0-9] | [1-9] [0-9] | [0-9])';
const LABEL = "[a-z0-9] ([a-z0-9-]{0,30} [a-z0-9])?";
const NAME = `(${LABEL} ".")+ [a-z] [a-z]{1,20}`;

/** Bodies for the formats of texts that are kept to; others are notes for people. */
export const STRING_FORMATS: ReadonlyMap<string, string> = new Map(Object.entries({
  date: DATE,
  time: TIME,
  "date-time": `${DATE} "T" ${TIME}`,
  duration: '"P" ([0-9]{1,4} "D" ("T" [0-9]{1,4} [HMS])? | "T" [0-9]{1,4} [HMS] | [0-9]{1,4} [YMW])',
  uuid: '[0-9a-f]{8} "-" [0-9a-f]{4} "-" [1-5] [0-9a-f]{3} "-" [89ab] [0-9a-f]{3} "-" [0-9a-f]{12}',
  ipv4: `${BYTE} "." ${BYTE} "." ${BYTE} "." ${BYTE}`,
  ipv6: '([0-9a-f]{1,4} ":"){7} [0-9a-f]{1,4}',
  email: `[a-zA-Z0-9_+-]+ ("." [a-zA-Z0-9_+-]+)* "@" ${NAME}`,
  hostname: NAME,
  uri: `[a-z] [a-z0-9+-]{1,10} "://" ${NAME} (":" [1-9] [0-9]{0,3})? ("/" [a-zA-Z0-9._~-]*)* ` +
    `("?" [a-zA-Z0-9._~=&-]*)? ("#" [a-zA-Z0-9._~-]*)?`,
}));
