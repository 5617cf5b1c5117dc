/**
 * Connections that nobody wants: `flood.ts MODE HOST PORT RATE SECONDS`. Opens so many per second, and at the end prints
 * how many were opened, and how many of them the other side closed.
 *
 * | mode | what it does with each |
 * |---|---|
 * | `idle` | nothing |
 * | `half` | begins a TLS handshake and stops |
 * | `handshakes` | finishes the handshake and hangs up |
 *
 * @module
 */
const [mode = "", hostname = "", port = "", rate = "", seconds = ""] = Deno.args;
const HALF_A_HELLO = Uint8Array.of(0x16, 3, 1, 0, 200, 1, 0, 0, 196);
const until = performance.now() + Number(seconds) * 1_000;
const open = new Set<Deno.Conn>();
const counts = { opened: 0, refused: 0, closed: 0 };

async function one(): Promise<void> {
  let conn: Deno.Conn;
  try {
    conn = await Deno.connect({ hostname, port: Number(port) });
  } catch {
    counts.refused++;
    return;
  }
  counts.opened++;
  open.add(conn);
  try {
    if (mode === "handshakes") {
      conn = await Deno.startTls(conn as Deno.TcpConn, {
        hostname: "node.ark.invalid",
        unsafelyDisableHostnameVerification: true,
      })
        .then(async (tls) => (await tls.handshake(), tls));
    } else {
      if (mode === "half") await conn.write(HALF_A_HELLO);
      while (await conn.read(new Uint8Array(1_024)) !== null);
    }
  } catch {
    // Whatever becomes of it.
  }
  counts.closed++;
  open.delete(conn);
  try {
    conn.close();
  } catch {
    // A failed handshake closes it.
  }
}

const began = performance.now();
for (let count = 0; performance.now() < until;) {
  // Late timers are made up for.
  for (; count < (performance.now() - began) * Number(rate) / 1_000; count++) void one();
  await new Promise((resolve) => setTimeout(resolve, 5));
}
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(counts)));
Deno.exit(0);
