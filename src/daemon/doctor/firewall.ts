/** How to let others reach a port of this machine, in a sentence, for the firewall that it seems to have. */
export async function openPort(port: number, protocol: "tcp" | "udp"): Promise<string> {
  if (Deno.build.os === "darwin") {
    return "Let ark-node take connections: System Settings, Network, Firewall, Options";
  }
  if (Deno.build.os === "windows") {
    return `Open it, as administrator: netsh advfirewall firewall add rule name=ark-node dir=in action=allow ` +
      `protocol=${protocol} localport=${port}`;
  }
  const ufw = await Deno.readTextFile("/etc/ufw/ufw.conf").catch(() => "");
  if (/^ENABLED=yes/m.test(ufw)) return `Open it: sudo ufw allow ${port}/${protocol}`;
  const firewalld = await Deno.stat("/etc/firewalld/firewalld.conf").then(() => true, () => false);
  if (firewalld) {
    return `Open it: sudo firewall-cmd --permanent --add-port=${port}/${protocol}, and sudo firewall-cmd --reload`;
  }
  return `Open ${protocol.toUpperCase()} port ${port} in this machine's firewall (sudo ufw allow ${port}/${protocol}, ` +
    `or see: sudo nft list ruleset)`;
}
