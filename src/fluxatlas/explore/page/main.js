// Starts the page: manifest, store, map, controls; says what went wrong.
import { App } from './app.js';
import { Store } from './zarr.js';

function report(problem) {
  document.getElementById('controls').inert = false;
  document.getElementById('problem').textContent = problem.message ?? String(problem);
  console.error(problem);
}

async function start() {
  if (location.protocol === 'file:') {
    throw new Error('Browsers do not let a page read files of the disk: serve this folder (fluxatlas explore, or any web server).');
  }
  if (typeof DecompressionStream === 'undefined') {
    throw new Error('This browser is too old: it cannot unpack gzip. Chrome 80, Firefox 113, Safari 16.4 or newer can.');
  }
  const response = await fetch('manifest.json', { cache: 'no-cache' });
  if (!response.ok) throw new Error(`manifest.json is missing (${response.status}): export the page again`);
  const manifest = await response.json();
  const store = new Store('store.zarr', manifest);
  const app = new App(manifest, store, report);
  window.fluxatlas = app;
  await app.start();
}

start().catch(report);
