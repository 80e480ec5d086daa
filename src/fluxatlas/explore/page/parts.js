// Small things that several parts of the page need.

/** Options [value, text] of a select; nothing is touched where they are the same. */
export function fillSelect(select, options, chosen) {
  const now = JSON.stringify(options);
  if (select.dataset.options !== now) {
    select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    select.dataset.options = now;
  }
  select.value = chosen;
}

/** Hand `blob` to the browser as the file `name`. */
export function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** The budget of the chosen region by year, a line each. */
export function regionWords(rows, { kind, region }) {
  return rows
    .filter(([, rowKind, name]) => rowKind === kind && name === region)
    .map(([year, , , , mean, low, high, unit]) => {
      const [a, b, c] = [mean, low, high].map((value) => (value === null ? '?' : Number(value.toPrecision(3))));
      return `${year}: ${a} ${unit} (${b} to ${c})`;
    })
    .join('\n');
}

/** When the browser has drawn what was changed; at once in a page that nobody sees. */
export function nextFrame() {
  return document.hidden ? Promise.resolve() : new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

/** Loads the map library, which the page has asked for at its start. */
export async function library() {
  const add = (tag, about) => {
    const part = Object.assign(document.createElement(tag), about);
    const loaded = new Promise((done, fail) => {
      part.onload = done;
      part.onerror = () => fail(new Error(`${part.src ?? part.href} is missing: export the page again`));
    });
    document.head.append(part);
    return loaded;
  };
  await Promise.all([add('link', { rel: 'stylesheet', href: 'maplibre-gl.css' }), add('script', { src: 'maplibre-gl.js' })]);
}
