/** Requests that curl can send: it cannot sign, so their header fields are made here. */
import { randomBytes } from "node:crypto";
import type { Identity, NodeId } from "@ark/node/identity";
import { TLS_NAME } from "../../src/transport/certificate.ts";
import { contentDigest } from "../../src/transport/message_signature.ts";
import { signRequest } from "../../src/transport/signed_request.ts";

/** A node that curl asks. */
export interface CurlTarget {
  /** Who asks. */
  identity: Identity;
  /** Who is asked. */
  id: NodeId;
  /** Where it listens on the loopback. */
  port: number;
}

/** What curl got. */
export interface CurlResult {
  /** Bytes of all bodies. */
  bytes: number;
  /** How long all of it took, in milliseconds. */
  ms: number;
}

/** Lets curl ask for some paths, one after the other over one connection, and append their bodies to a file. */
export async function signedCurl(
  target: CurlTarget,
  { paths, into }: { paths: string[]; into: string },
): Promise<CurlResult> {
  const nonce = await serverNonce(target, paths[0] ?? "/");
  const config = paths.map((path) => section(target, { path, nonce })).join("next\n");
  const file = await Deno.makeTempFile({ suffix: ".curl" });
  try {
    await Deno.writeTextFile(file, config);
    const began = performance.now();
    const shell = 'exec curl -K "$1" > "$2"';
    const { stderr } = await new Deno.Command("sh", { args: ["-c", shell, "sh", file, into], stderr: "piped" })
      .output();
    const ms = performance.now() - began;
    const lines = new TextDecoder().decode(stderr).trim().split("\n").map((line) => line.split(" ").map(Number));
    const bad = lines.find(([status]) => status !== 200);
    if (bad !== undefined) throw new Error(`curl was answered ${bad.join(" ")}`);
    return { bytes: lines.reduce((sum, [, bytes = 0]) => sum + bytes, 0), ms };
  } finally {
    await Deno.remove(file);
  }
}

/** What a node that has just started wants signed beside: it says so in its first answer. */
async function serverNonce(target: CurlTarget, path: string): Promise<string> {
  const config = section(target, { path, nonce: "" }) + 'dump-header = "-"\noutput = "/dev/null"\n';
  const child = new Deno.Command("curl", { args: ["-K", "-"], stdin: "piped", stdout: "piped", stderr: "null" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(config));
  await writer.close();
  const { stdout } = await child.output();
  return /^ark-nonce: (\S+)/mi.exec(new TextDecoder().decode(stdout))?.[1] ?? "";
}

function section({ identity, id, port }: CurlTarget, { path, nonce }: { path: string; nonce: string }): string {
  const own = randomBytes(16).toString("base64url");
  const head = {
    method: "GET",
    target: path,
    contentType: "application/json",
    contentLength: 0,
    contentDigest: contentDigest(new Uint8Array(0)),
    to: id,
    deadlineMs: 60_000,
    created: Math.floor(Date.now() / 1_000),
    nonce: nonce === "" ? own : `${nonce}.${own}`,
  };
  const { signatureInput, signatureField } = signRequest(identity, head);
  const fields = {
    "Host": TLS_NAME,
    "Ark-To": id,
    "Ark-Deadline": String(head.deadlineMs),
    "Content-Type": head.contentType,
    "Content-Length": "0",
    "Content-Digest": head.contentDigest,
    "Signature-Input": signatureInput,
    "Signature": signatureField,
  };
  return [
    `url = "https://${TLS_NAME}:${port}${path}"`,
    `resolve = "${TLS_NAME}:${port}:127.0.0.1"`,
    "insecure",
    "http1.1",
    "silent",
    'write-out = "%{stderr}%{http_code} %{size_download}\\n"',
    ...Object.entries(fields).map(([name, value]) => `header = "${name}: ${value.replaceAll('"', '\\"')}"`),
    "",
  ].join("\n");
}
