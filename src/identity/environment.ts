/** Each was measured, or is documented, to defeat the pin or to write out session secrets. */
const UNSAFE: Record<string, string> = {
  SSLKEYLOGFILE: "it makes the TLS library write the secrets of every connection to a file",
  DENO_CERT: "it adds a certificate authority that could pose as any peer",
  NODE_EXTRA_CA_CERTS: "it adds a certificate authority that could pose as any peer",
  DENO_TLS_CA_STORE: "it adds certificate authorities that could pose as any peer",
  NODE_TLS_REJECT_UNAUTHORIZED: "it switches the check of certificates off",
};

/**
 * Says which variable of the environment defeats the pinned connections between nodes, or null when none does. The caller
 * must not start a node then: the TLS library reads some of them once, so that unsetting them later does not help.
 *
 * @param get reads one variable, as `Deno.env.get` does.
 */
export function unsafeEnvironment(get: (name: string) => string | undefined): string | null {
  for (const [name, why] of Object.entries(UNSAFE)) {
    if (get(name) !== undefined) return `The environment variable ${name} is set, and ${why}: unset it and start again`;
  }
  return null;
}
