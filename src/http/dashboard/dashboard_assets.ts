import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

/** One file of the dashboard. */
export interface Asset {
  /** Its content type. */
  readonly type: string;
  /** Tells this content from any other one. */
  readonly etag: string;
  /** Its bytes. */
  readonly plain: Uint8Array<ArrayBuffer>;
  /** The same, compressed with gzip. */
  readonly zipped: Uint8Array<ArrayBuffer>;
  /** What the page may do: load from here only, run no code that stands in a page, and be in no frame. */
  readonly policy: string;
}

/** All files of the dashboard. */
export interface DashboardAssets {
  /** The page itself. */
  readonly page: Asset;
  /** What it loads, by name. */
  readonly files: ReadonlyMap<string, Asset>;
}

const TYPES: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  html: "text/html; charset=utf-8",
};

let made: Promise<DashboardAssets> | undefined;

/** The files as they are served; read and made once, when somebody looks for the first time. */
export function dashboardAssets(): Promise<DashboardAssets> {
  return made ??= make().catch((error) => {
    // The next visit tries again.
    made = undefined;
    throw error;
  });
}

async function make(): Promise<DashboardAssets> {
  // Dozens of files, which most commands have no use for.
  const { ASSET_TEXTS, PAGE_TEXT } = await import("./asset_texts.ts");
  // Bare names of modules are told by an import map, which is the only script in the page: it is let in by its hash.
  const map = /<script type="importmap">([^]*?)<\/script>/.exec(PAGE_TEXT)?.[1] ?? "";
  const hash = createHash("sha256").update(map).digest("base64");
  const policy = [
    "default-src 'none'",
    `script-src 'self' 'sha256-${hash}'`,
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  return {
    page: asset("index.html", { text: PAGE_TEXT, policy }),
    files: new Map(Object.entries(ASSET_TEXTS).map(([name, text]) => [name, asset(name, { text, policy })])),
  };
}

function asset(name: string, { text, policy }: { text: string; policy: string }): Asset {
  const plain = new TextEncoder().encode(text);
  return {
    type: TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream",
    etag: `"${createHash("sha256").update(plain).digest("hex").slice(0, 32)}"`,
    plain,
    zipped: new Uint8Array(gzipSync(plain, { level: 9 })),
    policy,
  };
}
