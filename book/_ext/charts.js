// Fits each chart to its column: panels as wide as there is room for, stacked on a narrow screen.
// A chart is drawn once, measured, and drawn again with what its panels lack; so also on a resize.
(function () {
  const embed = window.vegaEmbed;
  const NARROW = 560; // px of a column, below which panels stand under each other
  const LEAST = 150; // px of a panel, or one more stands in the next row
  const CELL = 32; // px of a heat map's cell, alike
  const DIGITS = 28; // px of a cell that its number needs

  function rows(spec) {
    const named = spec.data && spec.data.name && (spec.datasets || {})[spec.data.name];
    return named || (spec.data && spec.data.values) || [];
  }

  function panels(spec) {
    const parts = spec.vconcat || spec.hconcat || spec.concat;
    if (parts) return parts.flatMap(panels);
    return spec.facet ? panels(spec.spec) : [spec];
  }

  function across(spec) {
    if (spec.facet) {
      const count = new Set(rows(spec).map((row) => row[spec.facet.field])).size || 1;
      return Math.min(spec.columns || count, count);
    }
    if (spec.concat) return Math.min(spec.columns || spec.concat.length, spec.concat.length);
    return spec.hconcat ? spec.hconcat.length : 1;
  }

  function cells(panel, datasets) { // of a heat map, whose cells have a width and not the panel
    const first = (panel.layer || [panel])[0];
    const named = (panel.data || first.data || {}).name;
    const column = first.encoding.x.field;
    return new Set((datasets[named] || []).map((row) => row[column])).size || 1;
  }

  function entries(spec) { // of a legend, as wide as its longest word asks for
    const layers = panels(spec).flatMap((panel) => panel.layer || [panel]);
    const domain = (layer) => ((layer.encoding || {}).color || {}).scale?.domain || [];
    return Math.max(165, ...layers.flatMap(domain).map((word) => 6.5 * String(word).length + 30));
  }

  function fitted(spec, room) {
    const made = structuredClone(spec);
    const axis = { labelLimit: Math.max(110, Math.round(0.56 * room)), labelOverlap: true };
    made.config = made.config || {};
    made.config.axisY = Object.assign({}, axis, made.config.axisY);
    made.config.axisX = Object.assign({ labelOverlap: true, labelSeparation: 6 }, made.config.axisX);
    const beside = room < NARROW && made.facet ? 0.6 * room : room; // a legend starts at a panel
    made.config.legend = Object.assign({}, made.config.legend, {
      columns: Math.max(1, Math.floor(beside / entries(spec))),
    });
    if (room < NARROW) {
      if (made.facet || made.concat) made.columns = 1;
      // Words longer than a panel stick out to the left, where labels stand, and not to the right.
      Object.assign(made.config.axisX, { titleAnchor: "end" });
      made.config.header = Object.assign({}, made.config.header, { labelAnchor: "end" });
      if (!made.facet) made.config.legend.layout = { top: { anchor: "end", bounds: "full" } };
    }
    return made;
  }

  function widen(spec, lack) {
    const side = across(spec);
    for (const panel of panels(spec)) {
      if (panel.width && typeof panel.width === "object") {
        const more = lack / side / cells(panel, spec.datasets || {});
        panel.width = { step: Math.max(20, panel.width.step + more) };
        const fits = panel.width.step >= DIGITS; // or numbers run into each other
        if (!fits) panel.layer = (panel.layer || []).filter((one) => one.mark.type !== "text");
      } else {
        panel.width = Math.max(60, Math.round((panel.width || 300) + lack / side));
      }
    }
  }

  function narrowest(spec) {
    const width = (panel) => (panel.width.step ? LEAST * (panel.width.step / CELL) : panel.width);
    return Math.min(...panels(spec).map((panel) => (panel.width ? width(panel) : LEAST)));
  }

  async function draw(holder, place, given, options) {
    const room = Math.floor(holder.clientWidth);
    if (!room) return embed(place, given, options);
    const spec = fitted(given, room);
    let result = await embed(place, spec, options);
    for (let turn = 0; turn < 5; turn += 1) {
      // What it asks for: on the page a picture is never wider than its column.
      const lack = room - Number(holder.querySelector("svg").getAttribute("width"));
      if (Math.abs(lack) < 2) break;
      widen(spec, lack - 1);
      if (narrowest(spec) < LEAST && across(spec) > 1) {
        spec.columns = across(spec) - 1;
      }
      result.finalize();
      result = await embed(place, spec, options);
    }
    // The element around a chart is the image and carries its label; the marks inside have none.
    for (const picture of holder.querySelectorAll("svg")) picture.setAttribute("aria-hidden", "true");
    return result;
  }

  window.vegaEmbed = async function (place, spec, options) {
    const holder = document.querySelector(place);
    let result = await draw(holder, place, spec, options);
    let last = holder.clientWidth;
    let waiting;
    new ResizeObserver(function () {
      if (Math.abs(holder.clientWidth - last) < 8) return;
      clearTimeout(waiting);
      waiting = setTimeout(async function () {
        last = holder.clientWidth;
        result.finalize();
        result = await draw(holder, place, spec, options);
      }, 150);
    }).observe(holder.parentElement);
    return result;
  };
})();
