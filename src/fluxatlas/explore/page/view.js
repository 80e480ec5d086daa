// What is looked at: kept in the address, so that a link shows the same.

const KEYS = ['v', 's', 'p', 't', 'd', 'lo', 'hi', 'c', 'o', 'm', 'g', 'at', 'k', 'r', 'w', 'ov'];

/** The view of an address: strings by key; unknown keys are left out. */
export function fromHash(hash) {
  const found = new URLSearchParams(hash.replace(/^#/, ''));
  const view = {};
  for (const key of KEYS) if (found.has(key)) view[key] = found.get(key);
  return view;
}

export function toHash(view) {
  const parts = KEYS.filter((key) => view[key] !== undefined && view[key] !== null && view[key] !== '');
  return '#' + parts.map((key) => `${key}=${encodeURIComponent(view[key]).replaceAll('%2C', ',')}`).join('&');
}

/** The member of the ensemble that a statistic is of, as text; null where it is of none. */
export const memberOf = (statistic) => (/^m\d+$/.test(statistic) ? statistic.slice(1) : null);

/** All times of a step in the years of the run, as text: 2001-03-05, 2001-03 or 2001. */
export function times(step, years) {
  const found = [];
  for (const year of years) {
    if (step === 'year') {
      found.push(String(year));
      continue;
    }
    for (let month = 0; month < 12; month++) {
      const name = `${year}-${String(month + 1).padStart(2, '0')}`;
      if (step === 'month') {
        found.push(name);
        continue;
      }
      const days = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
      for (let day = 1; day <= days; day++) found.push(`${name}-${String(day).padStart(2, '0')}`);
    }
  }
  return found;
}

/** `latitude, longitude` in degrees, with or without N, S, E, W; null for what is not a place. */
export function readPlace(text) {
  const found = text.trim().match(/^(-?\d+(?:\.\d+)?)\s*°?\s*([NS]?)[\s,;]+(-?\d+(?:\.\d+)?)\s*°?\s*([EW]?)$/i);
  if (!found) return null;
  const lat = Number(found[1]) * (/s/i.test(found[2]) ? -1 : 1);
  const lon = Number(found[3]) * (/w/i.test(found[4]) ? -1 : 1);
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 360 ? { lat, lon: ((((lon + 180) % 360) + 360) % 360) - 180 } : null;
}

const RAISED = { '-': '⁻', 0: '⁰', 1: '¹', 2: '²', 3: '³', 4: '⁴', 5: '⁵', 6: '⁶', 7: '⁷', 8: '⁸', 9: '⁹' };

/** A unit as it is read: exponents raised; 1 is a fraction. */
export function unitText(units) {
  if (units === '1') return 'm³ m⁻³';
  return units.replace(/([A-Za-z])(-?\d+)/g, (_, letter, power) => letter + [...power].map((c) => RAISED[c]).join(''));
}

/** A number with as many digits as tell it apart within `span`. */
export function number(value, span) {
  if (!Number.isFinite(value)) return 'no value';
  const digits = Math.min(8, Math.max(0, 2 - Math.floor(Math.log10(span || Math.abs(value) || 1))));
  return value.toFixed(digits).replace(/^-(0(?:\.0*)?)$/, '$1').replace('-', '−');
}
