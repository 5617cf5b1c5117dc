/** Closes a connection that may be closed already, by the other side or by a timer of ours. */
export function closeQuietly(connection: Pick<Deno.Conn, "close">): void {
  try {
    connection.close();
  } catch {
    // Whoever was faster did the same.
  }
}
