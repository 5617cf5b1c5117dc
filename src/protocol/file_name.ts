const NAME_REGEXP = /^[A-Za-z0-9_](?:[A-Za-z0-9._+-]{0,158}[A-Za-z0-9_])?$/;
const DEVICE_REGEXP = /^(?:con|prn|aux|nul|clock\$|com\d|lpt\d)(?:\.|$)/i;

/**
 * Whether a text that others chose can be the name of a file or folder: letters, digits and `._+-` between them, and no
 * name that some system gives a meaning of its own. Names are never repaired: what is not as it should be is refused.
 */
export function isSafeName(name: string): boolean {
  return NAME_REGEXP.test(name) && !name.includes("..") && !DEVICE_REGEXP.test(name);
}
