import type { LibraryPack, PackHit } from "@ark/node/content";

/** This node's own pages about packs: no script, no picture, and no place for any that a title could bring along. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** An HTML page of this node's own. */
export function ownPage(title: string, body: string, status = 200): Response {
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${text(title)}</title>` +
    `<meta name="viewport" content="width=device-width"><style>body{font:16px system-ui;max-width:46em;margin:2em auto;` +
    `padding:0 1em}li{margin:.7em 0}small{color:#666}</style><h1>${text(title)}</h1>${body}`;
  return new Response(html, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": POLICY,
      "x-content-type-options": "nosniff",
      // A link from here is followed as if it was typed.
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
    },
  });
}

/** All packs as a page. */
export function listingPage(packs: readonly LibraryPack[], prefix: string): Response {
  const items = packs.map(({ name, title, description, language, date, articles, size, at }) => {
    const facts = [language, date, `${articles.toLocaleString("en-US")} articles`, `${(size / 1e6).toFixed(1)} MB`];
    const where = at === null ? "on this node" : `at ${at}`;
    return `<li><a href="${text(`${prefix}/content/${encodeURIComponent(name)}/`)}">${text(title || name)}</a> ${
      text(description)
    }` +
      `<br><small>${text([name, ...facts.filter((fact) => fact !== ""), where].join(" · "))}</small></li>`;
  });
  const search = `<form action="${
    text(`${prefix}/content/search`)
  }"><input name="q" placeholder="Title begins with"> <button>Search</button></form>`;
  const none =
    "<p>There is no content pack within reach: put *.zim files into a folder that --content names, or ask a peer for some.</p>";
  return ownPage("Content packs", packs.length === 0 ? none : `${search}<ul>${items.join("")}</ul>`);
}

/** Found pages as a page. */
export function hitsPage(
  found: readonly { pack: string; hits: readonly PackHit[] }[],
  { query, prefix }: { query: string; prefix: string },
): Response {
  const items = found.flatMap(({ pack, hits }) =>
    hits.map(({ path, title }) =>
      `<li><a href="${text(`${prefix}/content/${encodeURIComponent(pack)}/${encodedPath(path)}`)}">${
        text(title)
      }</a> <small>${text(pack)}</small></li>`
    )
  );
  const body = items.length === 0 ? "<p>No title begins so.</p>" : `<ul>${items.join("")}</ul>`;
  return ownPage(`Titles that begin with ${query}`, `${body}<p><a href="${text(`${prefix}/content/`)}">All packs</a>`);
}

/** A path as it stands in an address. */
export function encodedPath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

function text(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
