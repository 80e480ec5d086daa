// The series of one cell: read from the store, with its 90 % band, the nearest sites, and as CSV.
import { times } from './view.js';

const EARTH_KM = 6371.0072;

/** Great-circle distance [km]. */
export function distance(a, b) {
  const [p, q] = [a, b].map(({ lat }) => (lat * Math.PI) / 180);
  const half = ((b.lon - a.lon) * Math.PI) / 360;
  const h = Math.sin((q - p) / 2) ** 2 + Math.cos(p) * Math.cos(q) * Math.sin(half) ** 2;
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** The `count` nearest sites that the network was trained on, with their distance. */
export function nearest(sites, place, count = 3) {
  return sites
    .filter((site) => site.trained)
    .map((site) => ({ ...site, km: distance(place, site) }))
    .sort((a, b) => a.km - b.km)
    .slice(0, count);
}

/** Row, column and centre of the cell of the product that holds a place; null outside of the domain. */
export function cellAt(store, { lat, lon }) {
  const [level] = store.levels('fixed');
  const row = Math.min(Math.floor((level.north - lat) / level.size + 1e-9), lat === -90 ? level.rows - 1 : Infinity);
  const turn = (((lon - level.west) % 360) + 360) % 360;
  const column = Math.floor(turn / level.size + 1e-9);
  if (row < 0 || row >= level.rows || column >= level.columns) return null;
  return { row, column, lat: level.north - (row + 0.5) * level.size, lon: level.west + (column + 0.5) * level.size };
}

/** Values of `array` at a cell for the time steps first <= n < last; of one without time a single value. */
export async function along(array, cell, first, last) {
  const flat = array.chunk.length === 2;
  const [long, high, wide] = flat ? [1, ...array.chunk] : array.chunk;
  const values = new Array(last - first).fill(NaN);
  const place = [Math.floor(cell.row / high), Math.floor(cell.column / wide)];
  const inside = (cell.row % high) * wide + (cell.column % wide);
  const jobs = [];
  for (let t = Math.floor(first / long); t * long < last; t++) jobs.push(array.chunkAt(flat ? place : [t, ...place]).then((data) => ({ t, data })));
  for (const { t, data } of await Promise.all(jobs)) {
    if (!data) continue;
    for (let n = Math.max(first, t * long); n < Math.min(last, (t + 1) * long); n++) {
      values[n - first] = array.value(data[(n - t * long) * high * wide + inside]);
    }
  }
  return values;
}

/** The series of `field` at `cell`: {times, values, sd, low, high}; of days only those of `year`. */
export async function readSeries(store, manifest, field, step, cell, year) {
  const all = times(step, manifest.years);
  const first = step === 'day' ? all.findIndex((time) => time.startsWith(`${year}-`)) : 0;
  const last = step === 'day' ? all.findLastIndex((time) => time.startsWith(`${year}-`)) + 1 : all.length;
  const spread = store.array(`${step}/0/${field.name}_sd`);
  const [values, sd] = await Promise.all([
    along(store.array(`${step}/0/${field.name}`), cell, first, last),
    spread ? along(spread, cell, first, last) : null,
  ]);
  return {
    first,
    times: all.slice(first, last),
    values,
    sd,
    low: sd && values.map((value, n) => value - manifest.band * sd[n]),
    high: sd && values.map((value, n) => value + manifest.band * sd[n]),
  };
}

/** Values of each member of the ensemble at a cell for first <= n < last, in order; none where the store has none. */
export function readMembers(store, field, step, cell, first, last) {
  const names = Object.keys(field.steps[step] ?? {}).filter((name) => /^m\d+$/.test(name));
  return Promise.all(names.map((name) => along(store.array(`${step}/0/${field.name}_${name}`), cell, first, last)));
}

/** The class of applicability at a cell; NaN where it is not known. */
export async function readClass(store, cell) {
  const array = store.array('fixed/0/applicable');
  return array ? (await along(array, cell, 0, 1))[0] : NaN;
}

const digits = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(9))) : '');

/** The series as CSV, with `more` ({name, what, long_name, units, values}) beside it. */
export function toCsv(field, cell, series, more) {
  const head = [
    `# ${field.long_name} [${field.units}]`,
    `# cell centre: latitude ${digits(cell.lat)}, longitude ${digits(cell.lon)} degrees`,
  ];
  if (series.sd) head.push('# low, high: central 90 % of a normal distribution of standard deviation sd');
  head.push(...more.map(({ name, what, long_name, units }) => `# ${name}: ${what}, ${long_name} [${units}]`));
  const names = [...(series.sd ? ['time', field.name, 'sd', 'low', 'high'] : ['time', field.name]), ...more.map(({ name }) => name)];
  const rows = series.times.map((time, n) => {
    const numbers = series.sd ? [series.values[n], series.sd[n], series.low[n], series.high[n]] : [series.values[n]];
    return [time, ...numbers.map(digits), ...more.map(({ values }) => digits(values[n]))].join(',');
  });
  return [...head, names.join(','), ...rows, ''].join('\n');
}
