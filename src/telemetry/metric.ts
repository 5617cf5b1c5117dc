const LABEL_LENGTH = 128;

/** What a metric is, apart from its numbers. */
export interface MetricShape {
  name: string;
  help: string;
  kind: "counter" | "gauge" | "histogram";
  labels: readonly string[];
  buckets: readonly number[];
}

/** One line of a metric; of a histogram, `value` is the sum and `ranges` counts per range, not yet cumulative. */
interface Series {
  labels: string;
  value: number;
  count: number;
  ranges: number[];
}

/** One metric with its series, at most `limit` of them and one that says `other`. */
export class Metric {
  readonly #shape: MetricShape;
  readonly #limit: number;
  readonly #series = new Map<string, Series>();

  constructor(shape: MetricShape, limit: number) {
    this.#shape = shape;
    this.#limit = limit;
    // A metric without labels is there from the start: its absence would read as a fault.
    if (shape.labels.length === 0) this.series(undefined);
  }

  matches(shape: MetricShape): boolean {
    const { kind, labels, buckets } = this.#shape;
    return kind === shape.kind && labels.join() === shape.labels.join() && buckets.join() === shape.buckets.join();
  }

  /** Forgets every series, as if none had been told yet. */
  clear(): void {
    this.#series.clear();
    if (this.#shape.labels.length === 0) this.series(undefined);
  }

  series(values: Readonly<Record<string, string>> | undefined): Series {
    const labels = this.#labels((name) => values?.[name] ?? "");
    const known = this.#series.get(labels);
    if (known !== undefined) return known;
    if (this.#series.size < this.#limit) return this.#add(labels);
    const other = this.#labels(() => "other");
    return this.#series.get(other) ?? this.#add(other);
  }

  render(): string {
    const { name, help, kind } = this.#shape;
    let text = `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${kind}\n`;
    for (const series of this.#series.values()) {
      text += kind === "histogram"
        ? this.#renderHistogram(series)
        : `${name}${braces(series.labels)} ${number(series.value)}\n`;
    }
    return text;
  }

  #renderHistogram({ labels, value, count, ranges }: Series): string {
    const { name, buckets } = this.#shape;
    const comma = labels === "" ? "" : ",";
    let text = "";
    let total = 0;
    buckets.forEach((bound, range) => {
      total += ranges[range] ?? 0;
      text += `${name}_bucket{${labels}${comma}le="${number(bound)}"} ${total}\n`;
    });
    text += `${name}_bucket{${labels}${comma}le="+Inf"} ${count}\n`;
    return text + `${name}_sum${braces(labels)} ${number(value)}\n${name}_count${braces(labels)} ${count}\n`;
  }

  #add(labels: string): Series {
    const series: Series = { labels, value: 0, count: 0, ranges: [] };
    this.#series.set(labels, series);
    return series;
  }

  #labels(value: (name: string) => string): string {
    return this.#shape.labels.map((name) => `${name}="${escapedLabel(value(name))}"`).join(",");
  }
}

function braces(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

/** Prometheus escapes only backslash, quote and line feed; other unprintable characters become `?`. */
function escapedLabel(value: string): string {
  return String(value).slice(0, LABEL_LENGTH).replaceAll(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu, "?")
    .replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function number(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
