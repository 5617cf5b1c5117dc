/** One curve over time, drawn by uPlot, which is loaded when the first one is shown. */
import { useEffect, useRef } from "preact/hooks";
import { html } from "./parts.js";

let library;

function load() {
  return library ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = "/ui/uplot.css";
    document.head.append(style);
    import("./uplot.js").then((module) => resolve(module.default), reject);
  });
}

/** @param {{ label: string, xs: number[], ys: (number | null)[], points?: boolean }} props */
export function Plot({ label, xs, ys, points = false }) {
  const box = useRef(null);
  const plot = useRef(null);
  const data = useRef([xs, ys]);
  data.current = [xs, ys];
  useEffect(() => {
    let gone = false;
    const sized = new ResizeObserver(() =>
      box.current !== null && plot.current?.setSize({ width: box.current.clientWidth, height: 170 })
    );
    load().then((UPlot) => {
      if (gone) return;
      const style = getComputedStyle(box.current);
      const [line, text, rule] = ["--accent", "--soft", "--line"].map((name) => style.getPropertyValue(name));
      const axis = { stroke: text, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule }, font: "11px system-ui" };
      plot.current = new UPlot(
        {
          width: box.current.clientWidth,
          height: 170,
          legend: { show: false },
          cursor: { y: false },
          scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
          axes: [axis, { ...axis, size: 52 }],
          series: [{}, {
            stroke: line,
            width: 2,
            fill: points ? undefined : `${line}22`,
            points: { show: points, size: 5, fill: line },
          }],
        },
        data.current,
        box.current,
      );
      sized.observe(box.current);
    });
    return () => {
      gone = true;
      sized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData(data.current), [xs.at(-1), ys]);
  const most = Math.max(0, ...ys.filter((y) => y !== null));
  return html`
    <figure class="plot">
      <figcaption>${label}</figcaption>
      <div ref=${box} role="img" aria-label=${`${label}: at most ${most.toFixed(most < 10 ? 1 : 0)}`}></div>
    </figure>
  `;
}
