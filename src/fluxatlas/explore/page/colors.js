// Colours: ramps of the manifest, classes of applicability, the legend.

/** '#rrggbb' as 0xAABBGGRR, opaque. */
export function packed(hex) {
  const rgb = parseInt(hex.slice(1), 16);
  return ((0xff << 24) | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16)) >>> 0;
}

/** value -> 0xAABBGGRR over `ramp` from `low` to `high`; beyond them the colour of the end. */
export function scale(ramp, low, high) {
  const colors = ramp.map(packed);
  const last = colors.length - 1;
  const factor = high > low ? (last + 1) / (high - low) : 0;
  return (value) => colors[Math.max(0, Math.min(last, Math.floor((value - low) * factor)))];
}

export const CLASSES = [
  { value: 2, color: '#009E73', text: 'near observations' },
  { value: 1, color: '#56B4E9', text: 'in the library of samples, far from observations' },
  { value: -1, color: '#8A8A8A', text: 'in the library, too few sites to judge' },
  { value: 0, color: '#D55E00', text: 'outside the library of samples' },
];

export function classes() {
  const colors = new Map(CLASSES.map(({ value, color }) => [value, packed(color)]));
  return (value) => colors.get(Math.round(value)) ?? 0;
}

/** Draws the legend on a canvas of `width` x `height` CSS pixels: ramp with ends, or classes. */
export function drawLegend(canvas, legend, text) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth || 260;
  const height = legend.classes ? 20 * legend.classes.length + 4 : 40;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  context.font = '12px system-ui, sans-serif';
  context.fillStyle = '#222';
  context.textBaseline = 'middle';
  if (legend.classes) {
    legend.classes.forEach(({ color, text: name }, n) => {
      context.fillStyle = color;
      context.fillRect(0, 20 * n + 4, 14, 14);
      context.fillStyle = '#222';
      context.fillText(name, 20, 20 * n + 12, width - 20);
    });
    return;
  }
  const step = width / legend.ramp.length;
  legend.ramp.forEach((color, n) => {
    context.fillStyle = color;
    context.fillRect(n * step, 0, step + 1, 16);
  });
  context.fillStyle = '#222';
  [0, 0.5, 1].forEach((part) => {
    context.textAlign = ['left', 'center', 'right'][part * 2];
    context.fillText(text(legend.low + part * (legend.high - legend.low)), part * width, 29);
  });
}
