// The panel with the series of the cell that was clicked or typed.
import { CLASSES } from './colors.js';
import { Chart } from './chart.js';
import { readDriver } from './drivers.js';
import { along, cellAt, nearest, readClass, readMembers, readSeries, toCsv } from './series.js';
import { save } from './parts.js';
import { memberOf, number, unitText } from './view.js';

const byId = (id) => document.getElementById(id);
const degrees = (value, [positive, negative]) => `${Math.abs(value).toFixed(3)}° ${value < 0 ? negative : positive}`;

/** A number on a narrow axis: precipitation in kg m-2 s-1 would not fit it. */
const short = (value, span) => (span < 0.005 ? value.toExponential(1).replace('0.0e+0', '0').replaceAll('-', '−') : number(value, span));

export class Panel {
  constructor(app) {
    this.app = app;
    this.cell = null;
    this.chart = new Chart(byId('chart'), number);
    this.driverChart = new Chart(byId('driver-chart'), short);
    this.loaded = Promise.resolve();
    byId('close').addEventListener('click', () => {
      this.close();
      app.set({ at: null });
    });
    byId('csv').addEventListener('click', async () => {
      try {
        save(new Blob([await this.csv()], { type: 'text/csv' }), `${this.name()}.csv`);
      } catch (problem) {
        app.report(problem);
      }
    });
    byId('chart-png').addEventListener('click', () => byId('chart').toBlob((blob) => save(blob, `${this.name()}.png`)));
    for (const chart of [this.chart, this.driverChart]) {
      chart.canvas.addEventListener('pointermove', (event) => {
        if (this.series) this.say(this.chart.indexAt(event.offsetX));
      });
      chart.canvas.addEventListener('pointerleave', () => this.sayNow());
    }
    byId('chart').addEventListener('click', (event) => {
      if (!this.series) return;
      const time = this.series.times[this.chart.indexAt(event.offsetX)];
      app.set({ time: time.slice(0, app.state.time.length) });
    });
  }

  /** Show the series of the cell that holds a place; says so where there is none. */
  open(place) {
    const { app } = this;
    this.cell = cellAt(app.store, place);
    app.state.at = { lat: place.lat, lon: place.lon };
    byId('panel').hidden = false;
    app.map.mark(place);
    app.map.map.resize();
    this.shown = null;
    if (!this.cell) {
      this.series = null;
      this.chart.show(null);
      this.driver = null;
      this.driverChart.show(null);
      byId('driver-reading').textContent = '';
      byId('members').textContent = '';
      byId('panel-title').textContent = `${degrees(place.lat, 'NS')}, ${degrees(place.lon, 'EW')}`;
      byId('reading').textContent = 'This place is outside the domain of the run.';
      byId('around').textContent = '';
    }
    app.keepAddress();
    this.follow();
  }

  close() {
    this.cell = null;
    this.series = null;
    byId('panel').hidden = true;
    this.app.map.marker.remove();
    this.app.map.map.resize();
  }

  /** The series that the state asks for; `loaded` resolves when it is drawn. */
  follow() {
    const { app, cell } = this;
    if (!cell) return;
    const { field, step, time } = app.state;
    const series = field.steps.day ? 'day' : step;
    const wanted = [field.name, series, series === 'day' ? time.slice(0, 4) : '', app.state.at?.lat, app.state.at?.lon, memberOf(app.state.statistic)].join();
    if (this.shown === wanted && this.driver?.about === app.state.driver) {
      this.chart.mark(time);
      this.driverChart.mark(time);
      this.sayNow();
      return;
    }
    if (this.shown === wanted) {
      this.loaded = this.loaded.then(() => this.loadDriver(cell)).catch(app.report);
      return;
    }
    this.shown = wanted;
    this.driver = null;
    this.loaded = this.load(field, series, cell, app.state.at ?? cell, wanted).catch((problem) => {
      byId('reading').textContent = 'The series could not be read.';
      app.report(problem);
    });
  }

  /** The driver that the state asks for, below the series. */
  async loadDriver(cell) {
    const { app, series } = this;
    const about = app.state.driver;
    if (!about || !series || series.step !== 'day') {
      this.driver = { about };
      this.driverChart.show(null);
      byId('driver-reading').textContent = series?.step === 'day' && app.manifest.no_drivers ? `No drivers here: ${app.manifest.no_drivers}.` : '';
      return;
    }
    const values = await this.readDriver(about, cell);
    if (this.series !== series || app.state.driver !== about) return;
    this.driver = { about, values };
    byId('driver-chart').setAttribute('aria-label', `Series of the driver ${about.label}; the CSV holds the numbers`);
    this.driverChart.show({ times: series.times, values }, app.state.time);
    this.sayNow();
  }

  readDriver(about, cell) {
    const { first, times } = this.series;
    return readDriver(this.app.store, this.app.manifest, about, cell, first, first + times.length);
  }

  async load(field, step, cell, place, wanted) {
    const { app } = this;
    byId('reading').textContent = 'Reading …';
    const year = Number(app.state.time.slice(0, 4));
    const { statistic } = app.state;
    const [series, flag, ofYear] = await Promise.all([
      readSeries(app.store, app.manifest, field, step, cell, year),
      readClass(app.store, cell),
      readMembers(app.store, field, 'year', cell, app.manifest.years.indexOf(year), app.manifest.years.indexOf(year) + 1),
    ]);
    if (memberOf(statistic) && statistic in field.steps[step]) {
      series.member = await along(app.store.array(`${step}/0/${field.name}_${statistic}`), cell, series.first, series.first + series.times.length);
    }
    if (this.shown !== wanted) return;
    this.series = { ...series, field, step };
    byId('panel-title').textContent = `${field.label} [${unitText(field.units)}] at ${degrees(cell.lat, 'NS')}, ${degrees(cell.lon, 'EW')}`;
    byId('chart').setAttribute('aria-label', `Series of ${field.label} with ${series.sd ? 'its 90 % band' : 'no band'}; the CSV holds the numbers`);
    this.chart.show(series, app.state.time);
    const close = nearest(app.manifest.sites, place).map(({ site, km }) => `${site} ${km < 10 ? km.toFixed(1) : Math.round(km)} km`);
    const known = CLASSES.find(({ value }) => value === flag);
    byId('around').textContent = [
      close.length ? `Nearest training sites: ${close.join(', ')}.` : 'The run has no training sites.',
      known ? `Applicability: ${known.text}.` : '',
    ].join(' ');
    const means = ofYear.flat();
    const span = Math.max(...means) - Math.min(...means);
    const told = means.map((value, member) => `${member}: ${number(value, span)}`).join(', ');
    byId('members').textContent = means.some(Number.isFinite) ? `Members, mean of ${year}: ${told} ${unitText(field.units)}` : '';
    this.sayNow();
    await this.loadDriver(cell);
  }

  sayNow() {
    if (!this.series) return;
    const { time } = this.app.state;
    const { times, values, field } = this.series;
    const first = times.findIndex((one) => one.startsWith(time));
    const known = values.filter((value, n) => times[n].startsWith(time) && Number.isFinite(value));
    if (first < 0 || times[first] === time || !known.length) {
      this.say(Math.max(first, 0));
      return;
    }
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    byId('reading').textContent = `Mean of ${time}: ${number(mean, 0)} ${unitText(field.units)}`;
    this.sayDriver((values) => {
      const there = values.filter((value, n) => times[n].startsWith(time) && Number.isFinite(value));
      return [`Mean of ${time}`, there.reduce((sum, value) => sum + value, 0) / there.length];
    });
  }

  /** What the driver is where `pick` says: [time, value] of its values. */
  sayDriver(pick) {
    const { about, values } = this.driver ?? {};
    if (!values) return;
    const [time, value] = pick(values);
    const known = values.filter(Number.isFinite);
    byId('driver-reading').textContent = `${time}: ${number(value, Math.max(...known) - Math.min(...known))} ${about.units === '1' ? '' : unitText(about.units)}`.trim();
  }

  /** Time, value and band at a place of the series. */
  say(index) {
    const { series } = this;
    const { values, low, high, times, field } = series;
    if (!values.some(Number.isFinite)) {
      byId('reading').textContent = 'No value here: this cell is not part of the product.';
      return;
    }
    const span = low ? Math.abs(high[index] - low[index]) : 0;
    const member = series.member ? `; member ${memberOf(this.app.state.statistic)}: ${number(series.member[index], span)}` : '';
    const band = low && Number.isFinite(low[index]) ? ` (90 %: ${number(low[index], span)} to ${number(high[index], span)})` : '';
    byId('reading').textContent = `${times[index]}: ${number(values[index], span)} ${unitText(field.units)}${band}${member}`;
    this.sayDriver((driven) => [times[index], driven[index]]);
  }

  /** The series, the members that the store has at its step, and of days all drivers of the cell. */
  async csv() {
    const { series, cell, app } = this;
    const { field, step, first, times } = series;
    const members = await readMembers(app.store, field, step, cell, first, first + times.length);
    const wanted = step === 'day' ? app.manifest.drivers : [];
    const drivers = await Promise.all(wanted.map(async (about) => ({ ...about, what: 'driver', values: await this.readDriver(about, cell) })));
    const own = members.map((values, m) => ({ ...field, name: `${field.name}_m${m}`, what: `member ${m}`, values }));
    return toCsv(field, cell, series, [...own, ...drivers]);
  }

  name() {
    return `${this.app.manifest.title}_${this.series.field.name}_${this.cell.lat.toFixed(3)}_${this.cell.lon.toFixed(3)}`;
  }
}
