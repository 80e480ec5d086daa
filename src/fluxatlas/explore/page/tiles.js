// Draws one tile of the map (Web Mercator) from the chunks below it.
import { packed } from './colors.js';

export const PIXELS = 512; // few large tiles: each costs a picture, a texture and a frame
export const SEA = '#E8EEF2';
const BARE = '#D9D6CF';

/** Colour of ground that is `share` percent land: 0xAABBGGRR. */
function ground(share) {
  const [sea, land] = [SEA, BARE].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const hex = sea.map((from, n) => Math.round(from + ((land[n] - from) * share) / 100).toString(16).padStart(2, '0'));
  return packed(`#${hex.join('')}`);
}

/** Latitudes of the pixel rows and longitudes of the pixel columns of tile z/x/y. */
function pixels(z, x, y) {
  const lats = new Float64Array(PIXELS);
  const lons = new Float64Array(PIXELS);
  const all = PIXELS * 2 ** z;
  for (let i = 0; i < PIXELS; i++) {
    lons[i] = ((x * PIXELS + i + 0.5) / all) * 360 - 180;
    lats[i] = (Math.atan(Math.sinh(Math.PI * (1 - (2 * (y * PIXELS + i + 0.5)) / all))) * 180) / Math.PI;
  }
  return { lats, lons };
}

/** The coarsest level whose cells are no larger than about a pixel of tiles at zoom z. */
export function levelFor(levels, z) {
  const pixel = 360 / (PIXELS * 2 ** z);
  let best = levels[0];
  for (const level of levels) if (level.size <= 1.5 * pixel) best = level;
  return best;
}

/** Rows and columns of `level` below the pixels; -1 outside. */
function cells(level, { lats, lons }) {
  const rows = Int32Array.from(lats, (lat) => Math.floor((level.north - lat) / level.size));
  const columns = Int32Array.from(lons, (lon) => Math.floor((lon - level.west) / level.size + 1e-9));
  return {
    rows: rows.map((n) => (n >= 0 && n < level.rows ? n : -1)),
    columns: columns.map((n) => (n >= 0 && n < level.columns ? n : -1)),
  };
}

/** Chunk -> the first pixel above its cells and the one behind the last; `places` (of cells, -1 outside) never turn back. */
function spans(places, size) {
  const found = new Map();
  places.forEach((cell, pixel) => {
    if (cell < 0) return;
    const chunk = Math.floor(cell / size);
    if (found.has(chunk)) found.get(chunk)[1] = pixel + 1;
    else found.set(chunk, [pixel, pixel + 1]);
  });
  return found;
}

/** Values of `array` at time `index` (ignored by arrays without time) below the pixels; NaN where there is none. */
async function sample(array, index, { rows, columns }) {
  const values = new Float32Array(PIXELS * PIXELS).fill(NaN);
  const flat = array.shape.length === 2;
  const [high, wide] = array.chunk.slice(-2);
  const time = flat ? [] : [Math.floor(index / array.chunk[0])];
  const skip = flat ? 0 : (index % array.chunk[0]) * high * wide;
  const [below, beside] = [spans(rows, high), spans(columns, wide)];
  const jobs = [];
  for (const r of below.keys()) for (const c of beside.keys()) jobs.push(array.chunkAt([...time, r, c]).then((data) => ({ r, c, data })));
  for (const { r, c, data } of await Promise.all(jobs)) {
    if (!data) continue;
    const [top, bottom] = below.get(r);
    const [left, right] = beside.get(c);
    for (let i = top; i < bottom; i++) {
      const here = i * PIXELS;
      if (i > top && rows[i] === rows[i - 1]) {
        values.copyWithin(here + left, here - PIXELS + left, here - PIXELS + right);
        continue;
      }
      const start = skip + (rows[i] - r * high) * wide - c * wide;
      for (let j = left; j < right; j++) {
        const again = j > left && columns[j] === columns[j - 1];
        values[here + j] = again ? values[here + j - 1] : array.value(data[start + columns[j]]);
      }
    }
  }
  return values;
}

async function bitmap(paint) {
  const image = new ImageData(PIXELS, PIXELS);
  await paint(new Uint32Array(image.data.buffer));
  return createImageBitmap(image);
}

/** Calls `paint(first pixel, row)` for each row of pixels; a row over the same cells as the one before is its copy. */
function byRow(places, target, paint) {
  for (let row = 0; row < PIXELS; row++) {
    const from = row * PIXELS;
    if (row && places.every(({ rows }) => rows[row] === rows[row - 1])) target.copyWithin(from, from - PIXELS, from);
    else paint(from, row);
  }
}

const INK = packed('#222222');
const HATCH = (i, j) => (i + j) % 4 < 2; // no wider than a cell in the deepest tiles, and on across the edges of tiles
const DOTS = (i, j) => i % 4 === 0 && j % 4 === 0;

/** Draws over coloured pixels what an overlay {array, sd, index, band} says of the cells below. */
async function drawOver(store, { array, sd, index, band }, level, below, target) {
  const at = (path) => sample(store.array(path.replace('/', `/${level.path.split('/')[1]}/`)), index, below);
  const [values, spread] = await Promise.all([at(array), sd ? at(sd) : null]);
  for (let i = 0, n = 0; i < PIXELS; i++) {
    for (let j = 0; j < PIXELS; j++, n++) {
      if (!target[n]) continue;
      const value = values[n];
      const inked = spread ? Math.abs(value) < band * spread[n] && DOTS(i, j) : value === 0 ? HATCH(i, j) : value < 2 && DOTS(i, j);
      if (inked) target[n] = INK;
    }
  }
}

/** Tile of the layer {group, array, index, minus, color, overlay}; `color(value)` is 0xAABBGGRR. */
async function drawTile(store, layer, z, x, y) {
  const level = levelFor(store.levels(layer.group), z);
  const below = cells(level, pixels(z, x, y));
  const array = store.array(`${level.path}/${layer.array}`);
  const [values, other] = await Promise.all([
    sample(array, layer.index, below),
    layer.minus === undefined ? null : sample(array, layer.minus, below),
  ]);
  return bitmap(async (target) => {
    byRow([below], target, (from) => {
      for (let i = from; i < from + PIXELS; i++) {
        const value = other ? values[i] - other[i] : values[i];
        if (value === value) target[i] = layer.color(value);
      }
    });
    if (layer.overlay) await drawOver(store, layer.overlay, level, below, target);
  });
}

/** Tile of the land masks, the finest that holds a pixel first; `color(percent of land)` is 0xAABBGGRR. */
async function drawLand(store, groups, color, z, x, y) {
  const places = pixels(z, x, y);
  const found = groups.map((group) => {
    const level = levelFor(store.levels(group), z);
    return { level, below: cells(level, places) };
  });
  const first = found.findLastIndex(({ below }) => below.rows.every((n) => n >= 0) && below.columns.every((n) => n >= 0));
  const all = await Promise.all(
    found.slice(Math.max(first, 0)).map(async ({ level, below }) => {
      return { below, values: await sample(store.array(`${level.path}/land`), 0, below) };
    }),
  );
  return bitmap((target) => {
    byRow(all.map(({ below }) => below), target, (from, row) => {
      target.fill(color(0), from, from + PIXELS);
      for (const { below, values } of all) {
        if (below.rows[row] < 0) continue;
        for (let j = 0; j < PIXELS; j++) {
          const share = values[from + j];
          if (below.columns[j] >= 0) target[from + j] = color(share === share ? share : 0);
        }
      }
    });
  });
}

/** Makes the tiles of a store. Those of the first picture are kept until the map asks for them: they are made once. */
export class Painter {
  constructor(store, { coasts, bbox: [west, south, east, north] }) {
    const ramp = Array.from({ length: 101 }, (_, share) => ground(share));
    const deep = (size) => Math.min(14, Math.ceil(Math.log2(360 / (PIXELS * size))) + 2);
    Object.assign(this, { store, coasts, layer: null, kept: new Map(), color: (share) => ramp[Math.round(share)] });
    this.deepest = { land: deep(store.levels(coasts.at(-1))[0].size), value: deep(store.levels('fixed')[0].size) };
    this.bounds = [west, Math.max(south, -85), east, Math.min(north, 85)];
  }

  /** Show another layer (see drawTile) from now on. */
  show(layer) {
    this.layer = layer;
    this.kept.clear();
  }

  /** The tile of `source` ('land' or 'value'), which `keep` leaves for the next who asks. */
  tile(source, z, x, y, keep = false) {
    const key = [source, z, x, y].join();
    const known = this.kept.get(key);
    this.kept.delete(key);
    const made = known ?? (source === 'land' ? drawLand(this.store, this.coasts, this.color, z, x, y) : drawTile(this.store, this.layer, z, x, y));
    if (keep) this.kept.set(key, made);
    return made;
  }
}
