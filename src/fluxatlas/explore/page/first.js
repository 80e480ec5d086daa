// The first picture: land, values and sites on a canvas as the map draws them, before the map itself is there.
import { PIXELS } from './tiles.js';

const unit = (lat) => 0.5 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI);

/** Tiles [x, y, left, top, edge] of zoom `z` in a window; x may lie beyond the globe, which repeats. */
function cover(z, { left, top, width, height, scale }) {
  const edge = (PIXELS * scale) / 2 ** z;
  const [first, last] = [top, top + height].map((at) => Math.min(2 ** z - 1, Math.max(0, Math.floor(at / edge))));
  const found = [];
  for (let y = first; y <= last; y++) {
    for (let x = Math.floor(left / edge); x * edge < left + width; x++) found.push([x, y, x * edge - left, y * edge - top, edge]);
  }
  return found;
}

/** Whether a tile holds a part of [west, south, east, north]. */
function holds([west, south, east, north], z, x, y) {
  const all = 2 ** z;
  return x / all < (east + 180) / 360 && (x + 1) / all > (west + 180) / 360 && y / all < unit(south) && (y + 1) / all > unit(north);
}

/**
 * Draws what the map will show at {lat, lon, zoom}: false, and nothing drawn, where the map would not be there, that is
 * where the world ends within the window.
 */
export async function drawFirst(canvas, painter, { lat, lon, zoom }, opacity, sites) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const scale = 2 ** zoom;
  const all = PIXELS * scale;
  const at = { left: ((lon + 180) / 360) * all - width / 2, top: unit(lat) * all - height / 2, width, height, scale };
  if (at.top < 0 || at.top + height > all || width > all) return false;
  const ask = (source) => {
    const z = Math.min(Math.max(0, Math.round(zoom)), painter.deepest[source]);
    const around = (x) => ((x % 2 ** z) + 2 ** z) % 2 ** z;
    const wanted = cover(z, at).filter(([x, y]) => source === 'land' || holds(painter.bounds, z, around(x), y));
    return Promise.all(wanted.map(async ([x, y, ...box]) => [await painter.tile(source, z, around(x), y, true), ...box]));
  };
  const [land, value] = await Promise.all([ask('land'), ask('value')]);
  const ratio = window.devicePixelRatio || 1;
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  context.imageSmoothingEnabled = false;
  const put = ([image, left, top, edge]) => {
    const [x, y, right, bottom] = [left, top, left + edge, top + edge].map((side) => Math.round(side * ratio) / ratio); // no seams
    context.drawImage(image, x, y, right - x, bottom - y);
  };
  land.forEach(put);
  context.globalAlpha = opacity;
  value.forEach(put);
  context.globalAlpha = 1;
  drawSites(context, sites, (site) => [((site.lon + 180) / 360) * all - at.left, unit(site.lat) * all - at.top]);
  return true;
}

function drawSites(context, sites, place) {
  context.strokeStyle = '#222';
  context.lineWidth = 1.5;
  for (const site of sites) {
    context.fillStyle = site.trained ? '#ffffff' : 'rgba(255,255,255,0.2)';
    context.beginPath();
    context.arc(...place(site), 5, 0, 2 * Math.PI);
    context.fill();
    context.beginPath();
    context.arc(...place(site), 5.75, 0, 2 * Math.PI);
    context.stroke();
  }
}
