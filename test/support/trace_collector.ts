/** A collector of traces: OTLP over HTTP as JSON, on the loopback. */

/** A span as it was posted. */
export interface CollectedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  status: { code: number; message?: string };
}

/** One post. */
export interface Post {
  contentType: string | null;
  text: string;
  /** Attributes of the node that posted. */
  resource: Record<string, unknown>;
  spans: CollectedSpan[];
}

/** Takes posts until it is disposed of. */
export class Collector implements AsyncDisposable {
  /** Everything that came, oldest first. */
  readonly posts: Post[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor({ answer = () => Response.json({}) }: { answer?: () => Response } = {}) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      const text = await request.text();
      const [{ resource, scopeSpans }] = JSON.parse(text).resourceSpans;
      this.posts.push({
        contentType: request.headers.get("content-type"),
        text,
        resource: valuesOf(resource.attributes),
        spans: scopeSpans.flatMap((scope: { spans: CollectedSpan[] }) => scope.spans),
      });
      return answer();
    });
  }

  /** Where it takes posts. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/v1/traces`;
  }

  /** All spans that came. */
  get spans(): CollectedSpan[] {
    return this.posts.flatMap(({ spans }) => spans);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Attributes by name. */
export function valuesOf(attributes: CollectedSpan["attributes"]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
