// The map: MapLibre with raster tiles that this page draws itself from the store; nothing comes from other hosts.
/* global maplibregl */
import { PIXELS, SEA } from './tiles.js';

export class AtlasMap {
  /** `painter` makes the tiles, from the start those of the layer that it shows. */
  constructor(container, painter, start, report) {
    this.painter = painter;
    this.asked = 0;
    this.busy = 0;
    const tell = (source) => async (request) => {
      this.busy += 1;
      try {
        return { data: await painter.tile(source, ...request.url.match(/\d+/g).slice(-3).map(Number)) };
      } catch (problem) {
        report(problem);
        throw problem;
      } finally {
        this.busy -= 1;
      }
    };
    maplibregl.addProtocol('land', tell('land'));
    maplibregl.addProtocol('atlas', tell('value'));
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
    this.ready = new Promise((resolve) => this.map.once('style.load', resolve));
  }

  style() {
    const { deepest, bounds } = this.painter;
    const raster = { type: 'raster', tileSize: PIXELS };
    const none = { type: 'geojson', data: { type: 'FeatureCollection', features: [] } };
    const paint = { 'raster-resampling': 'nearest', 'raster-fade-duration': 0 };
    return {
      version: 8,
      transition: { duration: 0, delay: 0 },
      sources: {
        land: { ...raster, tiles: ['land://0/{z}/{x}/{y}'], maxzoom: deepest.land },
        value: { ...raster, tiles: ['atlas://0/{z}/{x}/{y}'], maxzoom: deepest.value, bounds },
        regions: none,
        sites: none,
      },
      layers: [
        { id: 'sea', type: 'background', paint: { 'background-color': SEA } },
        { id: 'land', type: 'raster', source: 'land', paint },
        { id: 'value', type: 'raster', source: 'value', paint },
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

  /** Show the layer that the painter shows now; resolves when its tiles are drawn. */
  async renew() {
    await this.ready;
    this.asked += 1;
    this.map.getSource('value').setTiles([`atlas://${this.asked}/{z}/{x}/{y}`]);
    await this.settled();
  }

  /** When all tiles in view are drawn. */
  settled() {
    return new Promise((resolve) => {
      this.map.once('idle', () => resolve()); // with nothing: whoever waits in another process cannot take the event
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
