// The map: MapLibre with raster tiles that this page draws itself from the store; nothing comes from other hosts.
/* global maplibregl */
import { packed } from './colors.js';
import { drawLand, drawTile, PIXELS } from './tiles.js';

const SEA = '#E8EEF2';
const BARE = '#D9D6CF';

/** Colour of ground that is `share` percent land: 0xAABBGGRR. */
function ground(share) {
  const [sea, land] = [SEA, BARE].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const hex = sea.map((from, n) => Math.round(from + ((land[n] - from) * share) / 100).toString(16).padStart(2, '0'));
  return packed(`#${hex.join('')}`);
}

export class AtlasMap {
  constructor(container, manifest, store, start, report) {
    this.manifest = manifest;
    this.store = store;
    this.layer = null;
    this.asked = 0;
    this.busy = 0;
    const ramp = Array.from({ length: 101 }, (_, share) => ground(share));
    const tell = (work) => async (request) => {
      this.busy += 1;
      try {
        return { data: await work(...request.url.match(/\d+/g).slice(-4).map(Number)) };
      } catch (problem) {
        report(problem);
        throw problem;
      } finally {
        this.busy -= 1;
      }
    };
    const land = (z, x, y) => drawLand(store, manifest.coasts, (share) => ramp[Math.round(share)], z, x, y);
    maplibregl.addProtocol('land', tell((_, z, x, y) => land(z, x, y)));
    maplibregl.addProtocol('atlas', tell((_, z, x, y) => drawTile(store, this.layer, z, x, y)));
    this.map = new maplibregl.Map({
      container,
      style: this.style(),
      center: [start.lon, start.lat],
      zoom: start.zoom,
      maxZoom: 14,
      attributionControl: false,
      canvasContextAttributes: { preserveDrawingBuffer: true },
      fadeDuration: 0,
      dragRotate: false,
      pitchWithRotate: false,
      locale: { 'Map.Title': 'Map; arrow keys move it, plus and minus zoom, Enter shows the series at its middle' },
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new maplibregl.NavigationControl({ showCompass: false }), 'top-right');
    this.map.addControl(new maplibregl.ScaleControl(), 'bottom-left');
    this.marker = new maplibregl.Marker({ color: '#222' });
    this.ready = new Promise((resolve) => this.map.once('load', resolve));
  }

  style() {
    const [west, south, east, north] = this.manifest.bbox;
    const finest = this.store.levels(this.manifest.coasts.at(-1))[0].size;
    const deep = (size) => Math.min(14, Math.ceil(Math.log2(360 / (PIXELS * size))) + 2);
    const [{ size }] = this.store.levels('fixed');
    const bounds = [west, Math.max(south, -85), east, Math.min(north, 85)];
    const raster = { type: 'raster', tileSize: PIXELS };
    const none = { type: 'geojson', data: { type: 'FeatureCollection', features: [] } };
    const paint = { 'raster-resampling': 'nearest', 'raster-fade-duration': 0 };
    return {
      version: 8,
      transition: { duration: 0, delay: 0 },
      sources: {
        land: { ...raster, tiles: ['land://0/{z}/{x}/{y}'], maxzoom: deep(finest) },
        value: { ...raster, tiles: ['atlas://0/{z}/{x}/{y}'], maxzoom: deep(size), bounds },
        regions: none,
        sites: none,
      },
      layers: [
        { id: 'sea', type: 'background', paint: { 'background-color': SEA } },
        { id: 'land', type: 'raster', source: 'land', paint },
        { id: 'value', type: 'raster', source: 'value', layout: { visibility: 'none' }, paint },
        { id: 'regions', type: 'line', source: 'regions', paint: { 'line-color': '#222', 'line-width': 1 } },
        {
          id: 'region',
          type: 'line',
          source: 'regions',
          filter: ['==', ['get', 'region'], ''],
          paint: { 'line-color': '#D55E00', 'line-width': 2.5 },
        },
        {
          id: 'sites',
          type: 'circle',
          source: 'sites',
          paint: {
            'circle-radius': 5,
            'circle-color': ['case', ['get', 'trained'], '#ffffff', 'rgba(255,255,255,0.2)'],
            'circle-stroke-color': '#222',
            'circle-stroke-width': 1.5,
          },
        },
      ],
    };
  }

  /** Show another layer (see drawTile); resolves when its tiles are drawn. */
  async show(layer) {
    await this.ready;
    this.layer = layer;
    this.asked += 1;
    this.map.getSource('value').setTiles([`atlas://${this.asked}/{z}/{x}/{y}`]);
    this.map.setLayoutProperty('value', 'visibility', 'visible');
    await this.settled();
  }

  /** When all tiles in view are drawn. */
  settled() {
    return new Promise((resolve) => {
      this.map.once('idle', resolve);
      this.map.triggerRepaint();
    });
  }

  async setOpacity(opacity) {
    await this.ready;
    this.map.setPaintProperty('value', 'raster-opacity', opacity);
  }

  async setGlobe(globe) {
    await this.ready;
    const type = globe ? 'globe' : 'mercator';
    if ((this.map.getProjection()?.type ?? 'mercator') !== type) this.map.setProjection({ type });
  }

  async setFeatures(source, features) {
    await this.ready;
    this.map.getSource(source).setData({ type: 'FeatureCollection', features });
  }

  async highlight(region) {
    await this.ready;
    this.map.setFilter('region', ['==', ['get', 'region'], region ?? '']);
  }

  mark({ lat, lon }) {
    this.marker.setLngLat([lon, lat]).addTo(this.map);
  }

  get place() {
    const { lat, lng } = this.map.getCenter();
    return { lat, lon: lng, zoom: this.map.getZoom() };
  }
}

export function siteFeatures(sites) {
  return sites.map((site) => ({
    type: 'Feature',
    properties: site,
    geometry: { type: 'Point', coordinates: [site.lon, site.lat] },
  }));
}
