/** Forms of the two fields of a signature that nobody may accept, by what is wrong with them. */

/** Forms of `Signature-Input` other than the one that was signed. */
export function inputForms(
  input: string,
  { nonce, keyId }: { nonce: string; keyId: string },
): Record<string, string> {
  return {
    empty: "",
    "another label": input.replace("ark=", "sig1="),
    "two labels": `${input}, sig1=("@method");created=1`,
    "two labels of the same name": `${input}, ${input}`,
    "components in another order": input.replace(`"@method" "@authority"`, `"@authority" "@method"`),
    "a component less": input.replace(` "ark-to"`, ""),
    "a component more": input.replace(`"ark-deadline")`, `"ark-deadline" "date")`),
    "a component twice": input.replace(`"@method"`, `"@method" "@method"`),
    "a component with a parameter": input.replace(`"content-type"`, `"content-type";sf`),
    "two spaces": input.replace(`"@method" `, `"@method"  `),
    "a tab": input.replace(`"@method" `, `"@method"\t`),
    "upper case": input.replace("content-type", "Content-Type"),
    "no parameters": input.slice(0, input.indexOf(";")),
    "a parameter more": `${input};x=1`,
    "a parameter twice": `${input};tag="ark-peer/1"`,
    "a parameter less": input.replace(`;alg="ed25519"`, ""),
    "parameters in another order": input.replace(`alg="ed25519";tag="ark-peer/1"`, `tag="ark-peer/1";alg="ed25519"`),
    "another algorithm": input.replace("ed25519", "hmac-sha256"),
    "no algorithm": input.replace(`alg="ed25519"`, `alg=""`),
    "another tag": input.replace("ark-peer/1", "ark-peer/0"),
    "the tag of answers": input.replace("ark-peer/1", "ark-peer-resp/1"),
    "a short key id": input.replace(keyId, keyId.slice(1)),
    "a key id in upper case": input.replace(keyId, keyId.toUpperCase()),
    "a short nonce": input.replace(nonce, nonce.slice(1)),
    "a long nonce": input.replace(nonce, `${nonce}A`),
    "an empty nonce of the receiver": input.replace(nonce, `.${nonce}`),
    "two nonces of the receiver": input.replace(nonce, `${"A".repeat(27)}.${"A".repeat(27)}.${nonce}`),
    "a window that is too long": later(input, 1),
    "a window that ends early": later(input, -1),
    "a leading zero": input.replace("created=", "created=0"),
    "a sign": input.replace("created=", "created=+"),
    "a negative time": input.replace("created=", "created=-"),
    "a fraction": input.replace(/created=\d+/, "$&.0"),
    "a time beyond reason": input.replace(/created=\d+/, `created=${"9".repeat(13)}`),
    "space at the start": ` ${input}`,
    "space at the end": `${input} `,
    "a line end": `${input}\n`,
    "an obsolete fold": input.replace(";created", "\r\n ;created"),
    "a NUL": `${input}\0`,
  };
}

/** Forms of `Signature` other than the one that was signed, most of them with the same bytes for a careless reader. */
export function signatureForms(signature: string): Record<string, string> {
  const [, base64 = ""] = signature.match(/:(.*):/) ?? [];
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const last = base64.charAt(85);
  return {
    empty: "",
    "no bytes": "ark=::",
    "another label": signature.replace("ark=", "sig="),
    "two signatures": `${signature}, ${signature}`,
    "a short one": `ark=:${base64.slice(4)}:`,
    "a long one": `ark=:AAAA${base64}:`,
    "no padding": `ark=:${base64.replaceAll("=", "")}:`,
    // Same bytes for a careless decoder.
    "bits that are not used": `ark=:${base64.slice(0, 85)}${alphabet[alphabet.indexOf(last) + 1]}==:`,
    "the other alphabet": `ark=:${"-".repeat(86)}==:`,
    "a parameter": `${signature};x`,
    "space within": signature.replace("ark=:", "ark=: "),
  };
}

/** The same with another end of its time. */
function later(input: string, seconds: number): string {
  return input.replace(/expires=(\d+)/, (_, time) => `expires=${Number(time) + seconds}`);
}
