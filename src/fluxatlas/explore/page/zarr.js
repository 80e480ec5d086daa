// Reads a Zarr v3 store over HTTP: little-endian numbers, gzip, chunks in shards whose index comes first.
// Only the chunks that are asked for are read, by ranges of bytes; a server without ranges is coped with (whole files).

const CACHE_BYTES = 256e6;
const GAP = 16384; // bytes that are cheaper to read along than to ask for apart: between two chunks, and behind an index
const ABSENT = 0xffffffffffffffffn;
const TYPES = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array, int32: Int32Array, float32: Float32Array, float64: Float64Array };

export const traffic = { bytes: 0, requests: 0 };

/** Least recently used first; forgets when the sizes add up to more than `limit`. */
class Cache {
  constructor(limit) {
    this.limit = limit;
    this.size = 0;
    this.kept = new Map();
  }
  get(key) {
    const found = this.kept.get(key);
    if (found) {
      this.kept.delete(key);
      this.kept.set(key, found);
    }
    return found?.value;
  }
  set(key, value, size) {
    this.drop(key);
    this.kept.set(key, { value, size });
    this.size += size;
    for (const oldest of this.kept.keys()) {
      if (this.size <= this.limit) break;
      this.drop(oldest);
    }
  }
  drop(key) {
    const found = this.kept.get(key);
    if (!found) return;
    this.size -= found.size;
    this.kept.delete(key);
  }
}

async function gunzip(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).arrayBuffer();
}

/** One file that holds several chunks: [index][chunk][chunk]... */
class Shard {
  constructor(url, count) {
    this.url = url;
    this.headBytes = 16 * count + 4;
    this.waiting = [];
    this.whole = null;
    this.begin = new ArrayBuffer(0);
  }

  async range(first, length) {
    if (this.whole) return (await this.whole).slice(first, first + length);
    if (first + length <= this.begin.byteLength) return this.begin.slice(first, first + length);
    const response = await fetch(this.url, { headers: { Range: `bytes=${first}-${first + length - 1}` } });
    traffic.requests += 1;
    if (response.status === 404 || response.status === 403) return null;
    if (!response.ok) throw new Error(`${this.url}: the server answers ${response.status}`);
    const bytes = await response.arrayBuffer();
    traffic.bytes += bytes.byteLength;
    if (response.status === 206) return bytes;
    this.whole = Promise.resolve(bytes); // the server knows no ranges
    return bytes.slice(first, first + length);
  }

  async index() {
    this.head ??= this.range(0, this.headBytes + GAP).then(
      (bytes) => {
        this.begin = bytes ?? this.begin; // of a small file that is all of it
        return bytes && new BigUint64Array(bytes.slice(0, this.headBytes - 4));
      },
      (problem) => {
        this.head = undefined;
        throw problem;
      },
    );
    return this.head;
  }

  /** The stored bytes of chunk `number`; null where there is none. Chunks asked for together are read together. */
  async stored(number) {
    const index = await this.index();
    if (!index) return null;
    const offset = index[2 * number];
    if (offset === ABSENT) return null;
    return new Promise((resolve, reject) => {
      this.waiting.push({ first: Number(offset), length: Number(index[2 * number + 1]), resolve, reject });
      if (this.waiting.length === 1) setTimeout(() => this.flush(), 0);
    });
  }

  flush() {
    const wanted = this.waiting.sort((a, b) => a.first - b.first);
    this.waiting = [];
    let group = [];
    let end = 0;
    for (const one of wanted) {
      if (group.length && one.first > end + GAP) {
        this.fetchGroup(group, end);
        group = [];
      }
      end = Math.max(group.length ? end : 0, one.first + one.length);
      group.push(one);
    }
    if (group.length) this.fetchGroup(group, end);
  }

  async fetchGroup(group, end) {
    const start = group[0].first;
    try {
      const bytes = await this.range(start, end - start);
      if (!bytes) throw new Error(`${this.url}: the file is missing`);
      for (const one of group) one.resolve(bytes.slice(one.first - start, one.first - start + one.length));
    } catch (problem) {
      for (const one of group) one.reject(problem);
    }
  }
}

/** One array; `places` names the shards that have a file (row.column), from the manifest. */
export class ZarrArray {
  constructor(store, path, about, places) {
    const [sharding] = about.codecs;
    const inner = sharding.configuration;
    if (sharding.name !== 'sharding_indexed' || inner.index_location !== 'start' || inner.codecs.at(-1).name !== 'gzip') {
      throw new Error(`${path} is stored in a way that this page does not read`);
    }
    this.path = path;
    this.store = store;
    this.shape = about.shape;
    this.shard = about.chunk_grid.configuration.chunk_shape;
    this.chunk = inner.chunk_shape;
    this.inside = this.shard.map((size, axis) => size / this.chunk[axis]);
    this.type = TYPES[about.data_type];
    this.attrs = about.attributes;
    this.fill = about.fill_value === 'NaN' ? NaN : about.fill_value;
    this.hasFill = '_FillValue' in about.attributes;
    this.scale = about.attributes.scale_factor ?? 1;
    this.offset = about.attributes.add_offset ?? 0;
    this.whole = new Set(places?.whole);
    this.part = new Set(places?.part);
    this.shards = new Map();
  }

  /** Unpacked value; NaN where it is missing. */
  value(raw) {
    return raw !== raw || (this.hasFill && raw === this.fill) ? NaN : raw * this.scale + this.offset;
  }

  /** Raw numbers of the chunk at `place` (an index by axis), row-major; null where nothing is stored. */
  chunkAt(place) {
    const outer = place.map((n, axis) => Math.floor(n / this.inside[axis]));
    const spot = outer.slice(-2).join('.');
    if (!this.whole.has(spot) && !this.part.has(spot)) return Promise.resolve(null);
    const key = `${this.path}/${place.join('.')}`;
    let found = this.store.cache.get(key);
    if (!found) {
      found = this.load(place, outer);
      const bytes = this.chunk.reduce((a, b) => a * b, this.type.BYTES_PER_ELEMENT);
      this.store.cache.set(key, found, bytes);
      found.catch(() => this.store.cache.drop(key));
    }
    return found;
  }

  async load(place, outer) {
    const name = outer.join('/');
    let shard = this.shards.get(name);
    if (!shard) {
      const count = this.inside.reduce((a, b) => a * b, 1);
      shard = new Shard(this.store.url(`${this.path}/c/${name}`), count);
      this.shards.set(name, shard);
    }
    const number = place.reduce((sum, n, axis) => sum * this.inside[axis] + (n % this.inside[axis]), 0);
    const index = await shard.index();
    if (!index && !this.part.has(outer.slice(-2).join('.'))) throw new Error(`${shard.url}: the file is missing`);
    const stored = await shard.stored(number);
    return stored && new this.type(await gunzip(stored));
  }
}

export class Store {
  /** `about` is what the store says of its groups and arrays, `shards` which files there are: both of the manifest. */
  constructor(base, { tag, about, shards }) {
    this.base = base;
    this.tag = tag;
    this.about = about;
    this.places = shards;
    this.cache = new Cache(CACHE_BYTES);
    this.arrays = new Map();
  }

  url(path) {
    return `${this.base}/${path}?v=${this.tag}`;
  }

  /** The array at `path`, such as `day/0/fch4`; null where there is none. */
  array(path) {
    if (!this.about[path]) return null;
    if (!this.arrays.has(path)) this.arrays.set(path, new ZarrArray(this, path, this.about[path], this.places[path]));
    return this.arrays.get(path);
  }

  /** Levels of a group, finest first: cell size and edges [degrees], rows and columns. */
  levels(group) {
    return this.about[group].attributes.multiscales.layout.map((level) => {
      const [size, , west, , , north] = level['spatial:transform'];
      const [rows, columns] = level['spatial:shape'];
      return { path: `${group}/${level.asset}`, size, west, north, rows, columns };
    });
  }
}
