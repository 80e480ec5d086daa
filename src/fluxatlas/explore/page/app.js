// What is shown, and how the controls, the address and the map follow it.
import { CLASSES, classes, drawLegend, scale } from './colors.js';
import { drawFirst } from './first.js';
import { AtlasMap, siteFeatures } from './map.js';
import { Panel } from './panel.js';
import { fillSelect, library, nextFrame, regionWords, save } from './parts.js';
import { Painter } from './tiles.js';
import { fromHash, memberOf, number, readPlace, times, toHash, unitText } from './view.js';

const STATISTICS = { mean: 'mean', sd: 'spread (standard uncertainty)', applicable: 'applicability', dissimilarity: 'dissimilarity from observed sites' };
const statisticText = (name) => STATISTICS[name] ?? `member ${memberOf(name)}`;
const OVERLAYS = {
  '': 'none',
  applicable: 'hatched: outside the library of samples; dotted: far from observations, or too few of them',
  sd: 'dotted: the 90 % interval holds zero',
};
const STEPS = { day: 'a day', month: 'a month', year: 'a year' };
const byId = (id) => document.getElementById(id);

export class App {
  constructor(manifest, store, report) {
    Object.assign(this, { manifest, store, report });
    this.state = this.read(location.hash);
    this.drawn = Promise.resolve();
    this.updates = 0;
  }

  // --- state ---------------------------------------------------------------------------------------------------------

  /** The state that an address asks for; what it lacks, or what there is not, is as at the start. */
  read(hash) {
    const asked = fromHash(hash);
    const { fields, years, bbox, ramps, fixed, regions, drivers } = this.manifest;
    const field = fields.find(({ name }) => name === asked.v) ?? fields[0];
    const steps = Object.keys(field.steps);
    const step = steps.includes(asked.p) ? asked.p : steps.at(-1);
    const every = times(step, years);
    const known = [...Object.keys(field.steps[step]), ...fixed];
    const place = (asked.at && readPlace(asked.at)) || null;
    const [lat, lon, zoom] = (asked.m ?? '').split(',').map(Number);
    const given = (text) => (text !== undefined && text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : null);
    return {
      field,
      step,
      statistic: known.includes(asked.s) ? asked.s : 'mean',
      time: every.includes(asked.t) ? asked.t : every.at(-1),
      minus: every.includes(asked.d) ? asked.d : '',
      low: given(asked.lo),
      high: given(asked.hi),
      ramp: asked.c in ramps ? asked.c : null,
      overlay: asked.ov in OVERLAYS ? asked.ov : '',
      opacity: Math.min(1, Math.max(0, given(asked.o) ?? 0.9)),
      globe: asked.g === '1',
      sites: asked.k === undefined || asked.k.split(',').includes('sites'),
      kind: asked.k?.split(',').find((kind) => kind in regions || kind === 'global') ?? '',
      region: asked.r ?? '',
      at: place,
      driver: asked.w === 'none' ? null : (drivers.find(({ name }) => name === asked.w) ?? drivers[0] ?? null),
      view: [lat, lon, zoom].every(Number.isFinite) ? { lat, lon, zoom } : this.whole(bbox),
    };
  }

  /** The view that holds a box. */
  whole([west, south, east, north]) {
    const { clientWidth, clientHeight } = byId('map');
    const mercator = (lat) => Math.asinh(Math.tan((Math.max(-80, Math.min(80, lat)) * Math.PI) / 180)) / (2 * Math.PI);
    const wide = clientWidth / 512 / ((east - west) / 360);
    const high = clientHeight / 512 / (mercator(north) - mercator(south));
    const middle = (mercator(north) + mercator(south)) / 2;
    const lat = (Math.atan(Math.sinh(2 * Math.PI * middle)) * 180) / Math.PI;
    return { lat, lon: (west + east) / 2, zoom: Math.max(0, Math.log2(Math.min(wide, high)) - 0.1) };
  }

  /** The address of the state. */
  hash() {
    const { field, step, statistic, time, minus, low, high, ramp, opacity, globe, sites, kind, region, at, driver, overlay } = this.state;
    const [usual] = this.manifest.drivers;
    const { lat, lon, zoom } = this.map.place;
    return toHash({
      v: field.name,
      s: statistic,
      p: step,
      t: time,
      d: minus,
      lo: low,
      hi: high,
      c: ramp,
      o: opacity,
      m: [lat.toFixed(4), lon.toFixed(4), zoom.toFixed(2)].join(','),
      g: globe ? 1 : null,
      at: at && `${at.lat.toFixed(4)},${at.lon.toFixed(4)}`,
      k: [...(sites ? ['sites'] : []), ...(kind ? [kind] : [])].join(',') || 'none',
      r: region,
      ov: overlay,
      w: driver === (usual ?? null) ? null : (driver?.name ?? 'none'),
    });
  }

  /** The state as the address, unless a link was followed that has not been read yet: its event is on the way. */
  keepAddress() {
    if (this.written !== undefined && location.hash !== this.written) return;
    history.replaceState(null, '', this.hash());
    this.written = location.hash;
  }

  /** Change the state, then everything that follows from it. */
  set(change) {
    Object.assign(this.state, change);
    return this.update();
  }

  // --- what is drawn -------------------------------------------------------------------------------------------------

  /** Array, times, limits, ramp and words of the layer shown. */
  layer() {
    const { field, step, statistic, time, minus, low, high, ramp, overlay } = this.state;
    const { years, ramps } = this.manifest;
    const every = times(step, years);
    if (statistic === 'applicable') {
      return { group: 'fixed', array: 'applicable', index: 0, color: classes(), classes: CLASSES, words: 'Applicability' };
    }
    const fixed = statistic === 'dissimilarity';
    const apart = !fixed && minus !== '';
    const usual = fixed ? [0, 2] : field.steps[step][statistic];
    const half = (usual[1] - usual[0]) / 2;
    const [from, to] = apart ? [-half, half] : usual;
    const limits = { low: low ?? from, high: high ?? to };
    const member = memberOf(statistic);
    const name = ramp ?? (apart ? 'RdBu_r' : statistic === 'mean' || member ? field.ramp : 'magma');
    const unit = fixed ? '' : ` [${unitText(field.units)}]`;
    const what = fixed ? STATISTICS.dissimilarity : `${field.label}${statistic === 'sd' ? ', standard uncertainty' : member ? `, member ${member}` : ''}`;
    const dates = fixed ? '' : `, ${time}${apart ? ` minus ${minus}` : ''}`;
    return {
      group: fixed ? 'fixed' : step,
      array: fixed ? statistic : field.name + (statistic === 'mean' ? '' : `_${statistic}`),
      index: fixed ? 0 : every.indexOf(time),
      minus: apart ? every.indexOf(minus) : undefined,
      color: scale(ramps[name], limits.low, limits.high),
      ramp: ramps[name],
      rampName: name,
      ...limits,
      overlay: overlay && { ...(overlay === 'sd' ? { array: `${step}/${field.name}`, sd: `${step}/${field.name}_sd`, index: every.indexOf(time) } : { array: 'fixed/applicable', index: 0 }), band: this.manifest.band },
      words: `${what[0].toUpperCase()}${what.slice(1)}${dates}${unit}${overlay ? `; ${OVERLAYS[overlay]}` : ''}`,
    };
  }

  /** What does not go together in the state gives way. */
  agree() {
    const { state } = this;
    const every = times(state.step, this.manifest.years);
    if (!every.includes(state.time)) state.time = every.findLast((time) => state.time.startsWith(time) || time.startsWith(state.time)) ?? every.at(-1);
    if (state.minus && !every.includes(state.minus)) state.minus = '';
    if (state.overlay === 'sd' && !state.field.steps[state.step].sd) state.overlay = '';
    if (state.overlay === 'applicable' && !this.manifest.fixed.includes('applicable')) state.overlay = '';
    if (!(state.statistic in state.field.steps[state.step]) && !this.manifest.fixed.includes(state.statistic)) state.statistic = 'mean';
  }

  /** Controls, address, map and panel as the state says; resolves when the map is drawn. */
  update() {
    this.agree();
    const layer = this.layer();
    this.painter.show(layer);
    this.fill(layer);
    return this.follow(this.map.renew());
  }

  /** Address, what lies on the map, and panel as the state says; `drawn` resolves when the map is drawn. */
  follow(drawn) {
    const { state, manifest } = this;
    this.keepAddress();
    byId('problem').textContent = '';
    this.drawn = drawn;
    this.updates += 1;
    this.map.setFeatures('regions', manifest.regions[state.kind] ?? []);
    this.map.highlight(state.kind ? state.region : '');
    this.map.setFeatures('sites', state.sites ? siteFeatures(manifest.sites) : []);
    this.map.setOpacity(state.opacity);
    this.panel.follow();
    return this.drawn;
  }

  /** Every control as the state says. */
  fill(layer) {
    const { state, manifest } = this;
    const { field } = state;
    const every = times(state.step, manifest.years);
    fillSelect(byId('variable'), manifest.fields.map(({ name, label }) => [name, `${label} (${name})`]), field.name);
    const known = [...Object.keys(field.steps[state.step]), ...manifest.fixed];
    fillSelect(byId('statistic'), known.map((name) => [name, statisticText(name)]), state.statistic);
    const over = Object.keys(OVERLAYS).filter((name) => name === '' || (name === 'sd' ? field.steps[state.step].sd : manifest.fixed.includes(name)));
    fillSelect(byId('overlay'), over.map((name) => [name, OVERLAYS[name]]), state.overlay);
    fillSelect(byId('step'), Object.keys(field.steps).map((name) => [name, STEPS[name]]), state.step);
    fillSelect(byId('ramp'), Object.keys(manifest.ramps).map((name) => [name, name]), layer.rampName ?? '');
    const slider = byId('time');
    slider.max = every.length - 1;
    slider.value = every.indexOf(state.time);
    slider.setAttribute('aria-valuetext', state.time);
    byId('when').textContent = state.time;
    byId('minus').value = state.minus;
    const some = every.length > 400 ? every.filter((time) => time.endsWith('-01')) : every;
    if (byId('minus-times').dataset.step !== state.step) {
      byId('minus-times').replaceChildren(...some.map((time) => new Option(time, time)));
      byId('minus-times').dataset.step = state.step;
    }
    byId('low').value = layer.classes ? '' : Number(layer.low.toPrecision(4));
    byId('high').value = layer.classes ? '' : Number(layer.high.toPrecision(4));
    for (const id of ['low', 'high', 'ramp', 'reset', 'overlay']) byId(id).disabled = Boolean(layer.classes);
    for (const id of ['time', 'minus', 'play', 'step']) byId(id).disabled = layer.group === 'fixed';
    byId('opacity').value = state.opacity;
    byId('show-sites').checked = state.sites;
    byId('globe').checked = state.globe;
    byId('legend-title').textContent = layer.words;
    byId('legend').setAttribute('aria-label', layer.classes ? layer.words : `${layer.words}: colours from ${layer.low} to ${layer.high}`);
    drawLegend(byId('legend'), layer, (value) => number(value, layer.high - layer.low));
    fillSelect(byId('driver'), [...manifest.drivers.map(({ name, label }) => [name, label]), ['none', 'none']], state.driver?.name ?? 'none');
    byId('driver-label').hidden = !manifest.drivers.length;
    byId('driver-chart').hidden = !state.driver;
    byId('driver-reading').hidden = !state.driver && manifest.drivers.length > 0;
    this.fillRegions();
  }

  fillRegions() {
    const { state, manifest } = this;
    const rows = manifest.budget.filter(([, , , variable]) => variable === state.field.name);
    const kinds = [...new Set(rows.map(([, kind]) => kind))].filter((kind) => kind === 'global' || kind in manifest.regions);
    fillSelect(byId('kind'), [['', 'none'], ...kinds.map((kind) => [kind, kind])], kinds.includes(state.kind) ? state.kind : '');
    const names = [...new Set(rows.filter(([, kind]) => kind === state.kind).map(([, , region]) => region))];
    if (!names.includes(state.region)) state.region = names[0] ?? '';
    byId('region-label').hidden = names.length === 0;
    fillSelect(byId('region'), names.map((name) => [name, name]), state.region);
    byId('budget').textContent = regionWords(rows, state);
  }

  // --- start and events ----------------------------------------------------------------------------------------------

  /** Controls and a first picture, then the map library, then the map. */
  async start() {
    const { manifest, state } = this;
    byId('title').textContent = manifest.title;
    document.title = `${manifest.title} | fluxatlas`;
    byId('synthetic').hidden = !manifest.synthetic;
    byId('panel').hidden = !state.at; // now, because it takes room from the map
    this.agree();
    const layer = this.layer();
    this.painter = new Painter(this.store, manifest);
    this.painter.show(layer);
    this.fill(layer);
    const picture = byId('first');
    if (!state.globe && (await drawFirst(picture, this.painter, state.view, state.opacity, state.sites ? manifest.sites : []))) {
      await nextFrame();
      this.pictured = performance.now();
    }
    await library();
    this.map = new AtlasMap('map', this.painter, state.view, this.report);
    this.map.map.once('movestart', () => picture.remove());
    this.panel = new Panel(this);
    this.listen();
    byId('controls').inert = false;
    this.map.setGlobe(state.globe);
    if (state.at) this.panel.open(state.at);
    await this.follow(this.map.settled());
    this.painter.kept.clear(); // tiles of the picture that the map did not ask for
    picture.remove();
    this.started = performance.now();
  }

  listen() {
    const on = (id, event, change) => byId(id).addEventListener(event, () => this.set(change(byId(id).value)).catch(this.report));
    const fresh = { low: null, high: null, ramp: null };
    on('variable', 'change', (name) => ({ field: this.manifest.fields.find((field) => field.name === name), ...fresh }));
    on('statistic', 'change', (statistic) => ({ statistic, ...fresh }));
    on('overlay', 'change', (overlay) => ({ overlay }));
    on('step', 'change', (step) => ({ step, ...fresh }));
    on('time', 'input', (index) => ({ time: times(this.state.step, this.manifest.years)[index] }));
    on('minus', 'change', (minus) => ({ minus: this.knownTime(minus), ...fresh }));
    on('ramp', 'change', (ramp) => ({ ramp }));
    on('low', 'change', (text) => this.limits(text, byId('high').value));
    on('high', 'change', (text) => this.limits(byId('low').value, text));
    on('reset', 'click', () => fresh);
    on('opacity', 'input', (opacity) => ({ opacity: Number(opacity) }));
    on('show-sites', 'change', () => ({ sites: byId('show-sites').checked }));
    on('globe', 'change', () => ({ globe: byId('globe').checked }));
    on('kind', 'change', (kind) => ({ kind }));
    on('region', 'change', (region) => ({ region }));
    on('driver', 'change', (name) => ({ driver: this.manifest.drivers.find((driver) => driver.name === name) ?? null }));
    byId('globe').addEventListener('change', () => this.map.setGlobe(this.state.globe));
    byId('controls').addEventListener('submit', (event) => event.preventDefault());
    byId('play').addEventListener('click', () => this.play());
    byId('place').addEventListener('change', () => this.go(byId('place').value));
    byId('png').addEventListener('click', () => this.savePicture());
    byId('link').addEventListener('click', () => navigator.clipboard?.writeText(location.href));
    this.map.map.on('moveend', () => this.keepAddress());
    this.map.map.on('click', ({ lngLat }) => this.panel.open({ lat: lngLat.lat, lon: lngLat.wrap().lng }));
    this.map.map.getCanvas().addEventListener('keydown', (event) => {
      if (event.key === 'Enter') this.panel.open(this.map.place);
    });
    window.addEventListener('hashchange', () => this.followAddress());
  }

  /** The state of an address that was typed or followed. */
  followAddress() {
    if (location.hash === this.written) return;
    this.written = location.hash;
    this.state = this.read(location.hash);
    const { lat, lon, zoom } = this.state.view;
    this.map.map.jumpTo({ center: [lon, lat], zoom });
    this.map.setGlobe(this.state.globe);
    if (this.state.at) this.panel.open(this.state.at);
    else this.panel.close();
    this.update().catch(this.report);
  }

  /** Limits of the colours that were typed; nothing changes where they are none. */
  limits(...texts) {
    const [low, high] = texts.map((text) => (text.trim() === '' ? NaN : Number(text.replace('−', '-'))));
    if (low < high) return { low, high };
    setTimeout(() => this.report(new Error(`${texts.join(' to ')} are not limits of colours: write two numbers, the smaller one first`)));
    return {};
  }

  knownTime(text) {
    const found = text.trim();
    if (found && !times(this.state.step, this.manifest.years).includes(found)) {
      const words = `${found} is not ${STEPS[this.state.step]} of this run: write it like ${this.state.time}`;
      setTimeout(() => this.report(new Error(words))); // after the update, which clears what was said before
      return '';
    }
    return found;
  }

  /** The series at coordinates that were typed. */
  go(text) {
    const place = readPlace(text);
    if (!place) {
      this.report(new Error(`'${text}' is not a place: write latitude, longitude in degrees, such as 38.2, -6.1`));
      return;
    }
    byId('problem').textContent = '';
    this.map.map.jumpTo({ center: [place.lon, place.lat] });
    this.panel.open(place);
  }

  /** Go on from time to time, each when the one before is drawn, until pressed again. */
  async play() {
    const button = byId('play');
    this.playing = !this.playing;
    button.setAttribute('aria-pressed', String(this.playing));
    button.textContent = this.playing ? 'Stop' : 'Play';
    while (this.playing) {
      const every = times(this.state.step, this.manifest.years);
      const next = (every.indexOf(this.state.time) + 1) % every.length;
      const pause = new Promise((resolve) => setTimeout(resolve, 150));
      await Promise.all([this.set({ time: every[next] }), pause]).catch((problem) => {
        this.playing = false;
        this.report(problem);
      });
    }
  }

  /** The map with its title and legend as a picture. */
  savePicture() {
    const map = this.map.map.getCanvas();
    const ratio = window.devicePixelRatio || 1;
    const legend = byId('legend');
    const canvas = document.createElement('canvas');
    canvas.width = map.width;
    canvas.height = map.height + legend.height + 40 * ratio;
    const context = canvas.getContext('2d');
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(map, 0, 0);
    context.fillStyle = '#222';
    context.font = `${14 * ratio}px system-ui, sans-serif`;
    const made = this.manifest.synthetic ? ' (made up, not the real Earth)' : '';
    context.fillText(byId('legend-title').textContent + made, 10 * ratio, map.height + 22 * ratio, canvas.width - 20 * ratio);
    context.drawImage(legend, 10 * ratio, map.height + 32 * ratio);
    canvas.toBlob((blob) => save(blob, `${this.manifest.title}_${this.state.field.name}_${this.state.time}.png`));
  }
}
