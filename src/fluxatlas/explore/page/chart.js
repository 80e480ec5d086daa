// A line with its band on a canvas.

const LINE = '#0072B2';
const MEMBER = '#CC79A7';
const EDGE = { left: 62, right: 12, top: 10, bottom: 24 };

/** Round steps for about `count` ticks between low and high. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((n) => n * power >= rough) * power;
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high + 1e-9 * step; n++) found.push(n * step);
  return found;
}

export class Chart {
  constructor(canvas, text) {
    this.canvas = canvas;
    this.text = text;
    this.series = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(series, marked) {
    this.series = series;
    this.marked = marked;
    this.draw();
  }

  mark(time) {
    this.marked = time;
    this.draw();
  }

  /** Place in the series below a pointer at `x` CSS pixels. */
  indexAt(x) {
    const part = (x - EDGE.left) / (this.canvas.clientWidth - EDGE.left - EDGE.right);
    const last = this.series.times.length - 1;
    return Math.max(0, Math.min(last, Math.round(part * last)));
  }

  draw() {
    const { canvas, series } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const context = canvas.getContext('2d');
    context.scale(ratio, ratio);
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
    const known = series ? [series.values, series.low, series.high, series.member].filter(Boolean).flat().filter(Number.isFinite) : [];
    if (!known.length) return;
    let [low, high] = [Math.min(...known), Math.max(...known)];
    if (high - low < 1e-12 + 1e-9 * Math.abs(high)) [low, high] = [low - 0.5, high + 0.5];
    const last = Math.max(1, series.times.length - 1);
    const x = (n) => EDGE.left + (n / last) * (width - EDGE.left - EDGE.right);
    const y = (value) => EDGE.top + ((high - value) / (high - low)) * (height - EDGE.top - EDGE.bottom);
    this.axes(context, { low, high, width, height, x, y });
    if (series.low) this.band(context, x, y);
    this.line(context, series.values, LINE, x, y);
    if (series.member) this.line(context, series.member, MEMBER, x, y);
    const at = series.times.findIndex((time) => time.startsWith(this.marked));
    if (at >= 0 && this.marked.length > 4) {
      context.strokeStyle = '#D55E00';
      context.beginPath();
      context.moveTo(x(at), EDGE.top);
      context.lineTo(x(at), height - EDGE.bottom);
      context.stroke();
    }
  }

  line(context, values, colour, x, y) {
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 1.6;
    this.runs(values, (run) => {
      context.beginPath();
      for (const n of run) context.lineTo(x(n), y(values[n]));
      context.stroke();
      if (run.length === 1) context.fillRect(x(run[0]) - 2, y(values[run[0]]) - 2, 4, 4);
    });
  }

  axes(context, { low, high, width, height, x, y }) {
    context.font = '12px system-ui, sans-serif';
    context.fillStyle = '#222';
    context.strokeStyle = '#E3E3E3';
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    for (const value of ticks(low, high, Math.max(3, height / 45))) {
      context.beginPath();
      context.moveTo(EDGE.left, y(value));
      context.lineTo(width - EDGE.right, y(value));
      context.stroke();
      context.fillText(this.text(value, high - low), EDGE.left - 6, y(value));
    }
    const { times } = this.series;
    const every = Math.max(1, Math.ceil(times.length / Math.max(2, (width - EDGE.left) / 90)));
    context.textAlign = 'center';
    for (let n = Math.floor(every / 2); n < times.length; n += every) context.fillText(times[n], x(n), height - 10);
  }

  band(context, x, y) {
    const { low, high } = this.series;
    context.fillStyle = 'rgba(0, 114, 178, 0.22)';
    this.runs(low, (run) => {
      context.beginPath();
      for (const n of run) context.lineTo(x(n), y(high[n]));
      for (const n of run.toReversed()) context.lineTo(x(n), y(low[n]));
      context.fill();
    });
    context.fillStyle = LINE;
  }

  /** Calls `each` with the places of every stretch of `values` without a gap. */
  runs(values, each) {
    let run = [];
    values.forEach((value, n) => {
      if (Number.isFinite(value)) run.push(n);
      else if (run.length) {
        each(run);
        run = [];
      }
    });
    if (run.length) each(run);
  }
}
