/** Sends bytes to a server, and returns everything that it says until it closes the connection or is silent for a while. */
export async function rawHttp(
  port: number,
  bytes: string,
  { silenceMs = 400, hostname = "127.0.0.1" } = {},
): Promise<string> {
  const connection = await Deno.connect({ hostname, port });
  await connection.write(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  let silence: ReturnType<typeof setTimeout> | undefined;
  const hangUp = () => {
    try {
      connection.close();
    } catch {
      // The other side was faster.
    }
  };
  try {
    for (;;) {
      silence = setTimeout(hangUp, silenceMs);
      const size = await connection.read(buffer);
      clearTimeout(silence);
      if (size === null) break;
      text += decoder.decode(buffer.subarray(0, size), { stream: true });
    }
  } catch {
    // Silence, or a reset: what was said counts.
  } finally {
    clearTimeout(silence);
    hangUp();
  }
  return text;
}
