// The drivers of a cell as the networks have read them, made of the weather on the grid of the forcing.
import { along } from './series.js';

/** The numbers of a table (row, column) at `row`. */
async function tableRow(array, row) {
  const [high, wide] = array.chunk;
  const data = await array.chunkAt([Math.floor(row / high), 0]);
  return Array.from({ length: array.shape[1] }, (_, n) => (data ? data[(row % high) * wide + n] : 0));
}

/** Source cells {row, column, weight} of a cell of the product; those without weight are left out. */
async function taps(store, cell) {
  const axes = [['row', cell.row], ['column', cell.column]].map(async ([axis, place]) => {
    const [source, weight] = await Promise.all(['source', 'weight'].map((name) => tableRow(store.array(`driver/cells/${axis}_${name}`), place)));
    return source.map((at, n) => [at, weight[n]]);
  });
  const [rows, columns] = await Promise.all(axes);
  const all = rows.flatMap(([row, high]) => columns.map(([column, wide]) => ({ row, column, weight: high * wide })));
  return all.filter(({ weight }) => weight > 0);
}

/** Weather at a cell, not yet brought to its altitude; missing source cells are left out day by day. */
async function regridded(store, name, cell, first, last) {
  const array = store.array(`driver/0/${name}`);
  const parts = await Promise.all(
    (await taps(store, cell)).map(async ({ weight, ...place }) => ({ weight, values: await along(array, place, first, last) })),
  );
  return Array.from({ length: last - first }, (_, n) => {
    const known = parts.filter(({ values }) => Number.isFinite(values[n]));
    const whole = known.reduce((sum, { weight }) => sum + weight, 0);
    return known.reduce((sum, { weight, values }) => sum + weight * values[n], 0) / whole; // NaN where none is known
  });
}

/** Weather at a cell and its altitude, as `fluxatlas.regrid.tile.downscale` has it. */
async function weather(store, about, name, cell, first, last) {
  const read = (one) => regridded(store, one, cell, first, last);
  const values = await read(name);
  const [lift] = await along(store.array('driver/cells/lift'), cell, 0, 1);
  if (!store.array('driver/0/tas') || !['tas', 'tasmin', 'tasmax', 'ps', 'huss', 'rlds'].includes(name)) return values;
  const fall = about.lapse_rate * lift;
  if (name.startsWith('tas')) return values.map((value) => value - fall);
  const before = await read('tas');
  if (name === 'rlds') return values.map((value, n) => value * (1 - fall / before[n]) ** 4);
  const lower = (value, n) => value * Math.exp((-about.gravity * lift) / (about.dry_air * (before[n] - fall / 2)));
  if (name === 'ps') return values.map(lower);
  if (!store.array('driver/0/ps')) return values;
  const pressure = (await read('ps')).map(lower);
  return values.map((value, n) => Math.min(value, saturated(about, before[n] - fall, pressure[n])));
}

/** Specific humidity of air that is saturated over water. */
function saturated(about, temperature, pressure) {
  const warm = (about.saturation_slope * (temperature - about.triple_point)) / (temperature - about.saturation_offset);
  const vapour = about.triple_pressure * Math.exp(warm);
  return (about.epsilon * vapour) / (pressure - (1 - about.epsilon) * vapour);
}

/** A driver made of one layer by month. */
async function ofMonths(store, name, cell, first, last) {
  const share = store.array(`driver/cells/${name}_share`);
  const [layer, ...shares] = await Promise.all([
    along(store.array(`driver/cells/${name}`), cell, 0, 12),
    ...Array.from({ length: 12 }, (_, month) => along(share, { row: month, column: 0 }, first, last)),
  ]);
  return Array.from({ length: last - first }, (_, n) => shares.reduce((sum, values, month) => sum + values[n] * layer[month], 0));
}

/** Daily values of a driver of the manifest at a cell for the days first <= n < last; NaN where there is none. */
export async function readDriver(store, manifest, { name, kind }, cell, first, last) {
  if (kind === 'row') return along(store.array(`driver/cells/${name}`), { row: cell.row, column: 0 }, first, last);
  if (kind === 'month') return ofMonths(store, name, cell, first, last);
  return weather(store, manifest.adjustment, name, cell, first, last);
}
