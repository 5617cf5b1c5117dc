import { Metric, type MetricShape } from "./metric.ts";

/** Values of a metric's labels, by the label's name. */
export type Labels<Name extends string> = Readonly<Record<Name, string>>;

/** A number that only grows. */
export interface Counter<Name extends string = never> {
  /**
   * Adds to one series.
   *
   * @param n How much, at least 0. @default {1}
   * @throws {RangeError} Where `n` is negative or no number.
   */
  add(n?: number, labels?: Labels<Name>): void;
}

/** A number that goes up and down. */
export interface Gauge<Name extends string = never> {
  /** Sets one series. */
  set(value: number, labels?: Labels<Name>): void;
  /** Adds to one series; a negative number takes away. */
  add(n: number, labels?: Labels<Name>): void;
  /** Forgets every series: whoever sets them anew each time is rid of those that are no more. */
  clear(): void;
}

/** How often values fell into which range. */
export interface Histogram<Name extends string = never> {
  /** Counts one value. */
  observe(value: number, labels?: Labels<Name>): void;
  /** One series, looked up once, for values that come with every token. */
  series(labels?: Labels<Name>): (value: number) => void;
}

/** Options of {@linkcode Metrics.histogram}. */
export interface HistogramOptions<Name extends string> {
  /** Names of the labels. */
  labels?: readonly Name[];
  /**
   * Upper bounds of the ranges, rising, without the last one (`+Inf`). The default suits milliseconds from a fast
   * token to a slow model.
   */
  buckets?: readonly number[];
}

/** Options of {@linkcode Metrics}. */
export interface MetricsOptions {
  /**
   * Most combinations of label values that one metric keeps. What comes later is counted in one series whose labels all
   * say `other`, so that nobody can fill the memory by making names up.
   *
   * @default {200}
   */
  seriesLimit?: number;
}

const MILLISECONDS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];
const NAME_REGEXP = /^[a-z_][a-z0-9_]*$/;

/**
 * Counters, gauges and histograms, rendered as Prometheus text 0.0.4. Label values are escaped, cut and bounded in
 * number; prompt and answer text never belongs into one.
 */
export class Metrics {
  readonly #metrics = new Map<string, Metric>();
  readonly #seriesLimit: number;
  readonly #collectors: (() => void)[] = [];

  /** Makes an empty set of metrics. */
  constructor({ seriesLimit = 200 }: MetricsOptions = {}) {
    this.#seriesLimit = seriesLimit;
  }

  /**
   * Declares a counter, or returns the one of that name.
   *
   * @throws {TypeError} Where a name is not valid or is taken by a metric of another shape.
   */
  counter<Name extends string = never>(name: string, help: string, labels: readonly Name[] = []): Counter<Name> {
    const metric = this.#metric({ name, help, kind: "counter", labels, buckets: [] });
    return {
      add(n, values) {
        const more = n ?? 1;
        if (!(more >= 0)) {
          throw new RangeError(`Cannot add to the counter ${name}: ${more} is not a number of at least 0`);
        }
        metric.series(values).value += more;
      },
    };
  }

  /**
   * Declares a gauge, or returns the one of that name.
   *
   * @throws {TypeError} Where a name is not valid or is taken by a metric of another shape.
   */
  gauge<Name extends string = never>(name: string, help: string, labels: readonly Name[] = []): Gauge<Name> {
    const metric = this.#metric({ name, help, kind: "gauge", labels, buckets: [] });
    return {
      set: (value, values) => void (metric.series(values).value = value),
      add: (n, values) => void (metric.series(values).value += n),
      clear: () => metric.clear(),
    };
  }

  /**
   * Declares a histogram, or returns the one of that name.
   *
   * @throws {TypeError} Where a name is not valid or is taken by a metric of another shape.
   */
  histogram<Name extends string = never>(
    name: string,
    help: string,
    { labels = [], buckets = MILLISECONDS }: HistogramOptions<Name> = {},
  ): Histogram<Name> {
    const metric = this.#metric({ name, help, kind: "histogram", labels, buckets });
    const into = (values?: Labels<Name>) => {
      const series = metric.series(values);
      return (value: number): void => {
        if (Number.isNaN(value)) return;
        series.value += value;
        series.count += 1;
        const range = buckets.findIndex((bound) => value <= bound);
        if (range >= 0) series.ranges[range] = (series.ranges[range] ?? 0) + 1;
      };
    };
    return { series: into, observe: (value, values) => into(values)(value) };
  }

  /** Has something set its gauges whenever they are about to be read, instead of at every change. It must not throw. */
  collect(collector: () => void): void {
    this.#collectors.push(collector);
  }

  /** All metrics as Prometheus text, `text/plain; version=0.0.4`, in the order of declaration. */
  render(): string {
    for (const collector of this.#collectors) collector();
    let text = "";
    for (const metric of this.#metrics.values()) text += metric.render();
    return text;
  }

  #metric(shape: MetricShape): Metric {
    const known = this.#metrics.get(shape.name);
    if (known !== undefined) {
      if (known.matches(shape)) return known;
      throw new TypeError(`Cannot declare the metric ${shape.name}: it exists with another kind, labels or buckets`);
    }
    for (const name of [shape.name, ...shape.labels]) {
      if (!NAME_REGEXP.test(name)) throw new TypeError(`Cannot declare the metric ${shape.name}: ${name} is no name`);
    }
    const metric = new Metric(shape, this.#seriesLimit);
    this.#metrics.set(shape.name, metric);
    return metric;
  }
}
