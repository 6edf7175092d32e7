// The page's charts. All data stands in the JSON block "data"; the tables beside the charts say the
// same numbers and need no script.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const charts = [];
  const style = name => getComputedStyle(root).getPropertyValue(name).trim();
  const byId = id => document.getElementById(id);

  const dark = () => root.dataset.theme === "dark";
  const armOf = name => data.arms.find(arm => arm.name === name);
  const colour = name => { const arm = armOf(name); return arm ? (dark() ? arm.dark : arm.light) : "#888"; };
  const clear = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, "0");
  const dashes = [[], [7, 4], [2, 3], [9, 3, 2, 3], [4, 2], [1, 2]];
  const shapes = ["circle", "rectRot", "triangle", "rect", "star", "crossRot"];
  const shapeOf = name => shapes[Math.max(0, data.arms.findIndex(arm => arm.name === name)) % shapes.length];
  const dashOf = size => dashes[Math.max(0, data.sizes.indexOf(size)) % dashes.length];

  const units = [[1e24, "e24"], [1e21, "e21"], [1e18, "e18"], [1e15, "P"], [1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]];
  const short = value => {
    if (Math.abs(value) >= 1e15) {
      const power = Math.floor(Math.log10(Math.abs(value)));
      return `${+(value / 10 ** power).toPrecision(3)}e${power}`;
    }
    for (const [size, name] of units) if (Math.abs(value) >= size) return +(value / size).toPrecision(3) + name;
    return String(+value.toPrecision(3));
  };
  // On a log axis only 1, 2 and 5 are written.
  const logTick = value => {
    const lead = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
    return [1, 2, 5].some(want => Math.abs(lead - want) < 1e-6) ? short(value) : "";
  };
  const lossTick = value => +value.toPrecision(4);

  const axis = (title, log, ticks) => ({
    type: log ? "logarithmic" : "linear",
    title: {display: true, text: title, color: style("--soft"), font: {size: 12.5}},
    grid: {color: style("--line"), borderColor: style("--line-strong"), drawTicks: false},
    ticks: {color: style("--soft"), padding: 7, maxRotation: 0, autoSkipPadding: 14, callback: ticks},
  });
  // Log axes fitted to their values: Chart.js alone would reach down to a power of ten.
  const logRange = (values, margin) => ({min: Math.min(...values) / margin, max: Math.max(...values) * margin});
  const roundTicks = scale => {
    const span = scale.max - scale.min;
    const power = 10 ** Math.floor(Math.log10(span / 5));
    const step = [1, 2, 5, 10].map(lead => lead * power).find(size => span / size <= 7);
    scale.ticks = [];
    for (let value = Math.ceil(scale.min / step) * step; value <= scale.max; value += step)
      scale.ticks.push({value: +value.toPrecision(8)});
  };
  const tooltip = () => ({
    backgroundColor: style("--ink"), titleColor: style("--paper"), bodyColor: style("--paper"),
    padding: 10, cornerRadius: 5, boxPadding: 4, usePointStyle: true,
  });
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

  // Draws intervals of points that carry {low, high}.
  const whiskers = {
    id: "whiskers",
    afterDatasetsDraw(chart) {
      chart.data.datasets.forEach((set, index) => {
        if (!set.whiskers || !chart.isDatasetVisible(index)) return;
        const {ctx} = chart;
        ctx.save();
        ctx.strokeStyle = set.borderColor;
        ctx.lineWidth = 1.5;
        chart.getDatasetMeta(index).data.forEach((element, i) => {
          const {low, high} = set.data[i];
          if (low == null || high == null || low === high) return;
          const top = chart.scales.y.getPixelForValue(high), bottom = chart.scales.y.getPixelForValue(low);
          ctx.beginPath();
          ctx.moveTo(element.x, top); ctx.lineTo(element.x, bottom);
          for (const y of [top, bottom]) { ctx.moveTo(element.x - 4, y); ctx.lineTo(element.x + 4, y); }
          ctx.stroke();
        });
        ctx.restore();
      });
    },
  };

  const legend = (box, entries, onToggle) => {
    box.textContent = "";
    for (const entry of entries) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!entry.hidden));
      const line = `<svg width="26" height="10" aria-hidden="true"><line x1="1" y1="5" x2="25" y2="5" stroke="${entry.colour}" stroke-width="2.4" stroke-dasharray="${(entry.dash || []).join(" ")}"/></svg>`;
      button.innerHTML = line;
      button.append(entry.label);
      button.addEventListener("click", () => {
        entry.hidden = !entry.hidden;
        button.setAttribute("aria-pressed", String(!entry.hidden));
        onToggle(entry);
      });
      box.append(button);
    }
  };

  const make = (id, build) => {
    const canvas = byId(id);
    if (!canvas || typeof Chart === "undefined") return;
    let chart = null;
    const draw = () => { if (chart) chart.destroy(); chart = build(canvas); };
    draw();
    charts.push(draw);
    return draw;
  };

  // Final loss per size, the paper's Figure 2.
  let sizeLength = data.lengths[data.lengths.length - 1];
  const drawSizes = make("chart-sizes", canvas => new Chart(canvas, {
    type: "line",
    data: {
      labels: data.sizes,
      datasets: data.arms.map(arm => ({
        label: arm.name, borderColor: colour(arm.name), backgroundColor: colour(arm.name), whiskers: true,
        pointStyle: shapeOf(arm.name), pointRadius: 5.5, pointHoverRadius: 8, borderWidth: 2, spanGaps: true,
        data: data.sizes.map(size => {
          const cell = data.cells.find(c => c.arm === arm.name && c.size === size && c.length === sizeLength);
          if (!cell) return {x: size, y: null};
          const spread = cell.deviation || 0;
          return {x: size, y: cell.loss, low: cell.loss - spread, high: cell.loss + spread, cell};
        }),
      })).filter(set => set.data.some(point => point.y !== null)),
    },
    options: {
      maintainAspectRatio: false, animation: still ? false : {duration: 300},
      scales: {x: {...axis("Size", false), type: "category", offset: true, ticks: {color: style("--soft")}},
               y: {...axis("Final loss, nats per token", false, lossTick), grace: "6%"}},
      plugins: {
        legend: {position: "top", align: "start", labels: {usePointStyle: true, color: style("--ink"), boxHeight: 8, padding: 16}},
        tooltip: {...tooltip(), callbacks: {label: item => {
          const cell = item.raw.cell;
          return ` ${item.dataset.label}: ${cell.loss.toFixed(4)} nats/token, ${cell.bits.toFixed(4)} bits/byte, ${short(cell.parameters)} parameters, ${cell.seeds} seed${cell.seeds > 1 ? "s" : ""}`;
        }}},
      },
    },
    plugins: [whiskers],
  }));

  // Training and validation curves.
  const hidden = new Set();
  const xTitles = {step: "Step", tokens: "Tokens", flops: "Model FLOPs", hours: "Wall time, hours"};
  const option = (id, fallback) => { const box = byId(id); return box ? (box.type === "checkbox" ? box.checked : box.value) : fallback; };
  const curveSets = () => {
    const x = option("curves-x", "tokens"), which = option("curves-which", "both"), sets = [];
    const log = option("curves-log-x", false);
    for (const run of data.runs) {
      if (hidden.has(run.id)) continue;
      const points = part => part[x].map((value, i) => ({x: value, y: part.loss[i]})).filter(p => p.y !== null && (!log || p.x > 0));
      const common = {run, borderColor: colour(run.arm), backgroundColor: colour(run.arm), borderDash: dashOf(run.size), label: run.id};
      const alone = which === "training" || run.evaluations.loss.length < 2;
      if (which !== "validation")
        sets.push({...common, data: points(run.curve), pointRadius: 0, pointHitRadius: 5, borderWidth: alone ? 1.4 : 1,
                   borderColor: clear(colour(run.arm), alone ? .85 : .28), part: "training", order: 2});
      if (which !== "training")
        sets.push({...common, data: points(run.evaluations), pointStyle: shapeOf(run.arm), pointRadius: data.runs.length > 12 ? 0 : 2.5, pointHitRadius: 6, pointHoverRadius: 6, borderWidth: 1.8, part: "validation", order: 1});
    }
    return sets;
  };
  const drawCurves = make("chart-curves", canvas => new Chart(canvas, {
    type: "line",
    data: {datasets: curveSets()},
    options: {
      maintainAspectRatio: false, animation: false, parsing: false, normalized: true,
      interaction: {mode: "nearest", intersect: false, axis: "xy"},
      scales: {x: axis(xTitles[option("curves-x", "tokens")], option("curves-log-x", false), option("curves-log-x", false) ? logTick : short),
               y: {...axis("Loss, nats per token", option("curves-log-y", false), lossTick),
                   ...(option("curves-log-y", false) ? {afterBuildTicks: roundTicks} : {})}},
      plugins: {legend: {display: false}, tooltip: {...tooltip(), callbacks: {
        title: items => items.length ? `${xTitles[option("curves-x", "tokens")]} ${short(items[0].parsed.x)}` : "",
        label: item => ` ${item.dataset.label}, ${item.dataset.part}: ${item.parsed.y.toFixed(4)}`,
      }}},
    },
  }));
  const curvesLegend = () => {
    const box = byId("legend-curves");
    if (!box) return;
    const groups = new Map();  // one button for the seeds of an arm, size and length
    for (const run of data.runs) {
      const key = JSON.stringify([run.arm, run.size, run.length]);
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(run);
    }
    legend(box, [...groups.values()].map(runs => ({
      label: [runs[0].arm || runs[0].id, runs[0].size, runs[0].length_words, runs.length > 1 ? `(${runs.length} seeds)` : ""].filter(Boolean).join(" "),
      colour: colour(runs[0].arm), dash: dashOf(runs[0].size), hidden: runs.every(run => hidden.has(run.id)), runs})),
      entry => {
        for (const run of entry.runs) entry.hidden ? hidden.add(run.id) : hidden.delete(run.id);
        drawCurves();
      });
  };
  if (drawCurves) {
    for (const id of ["curves-x", "curves-which", "curves-log-x", "curves-log-y"])
      if (byId(id)) byId(id).addEventListener("change", drawCurves);
    for (const [id, hide] of [["curves-all", false], ["curves-none", true]])
      if (byId(id)) byId(id).addEventListener("click", () => {
        data.runs.forEach(run => hide ? hidden.add(run.id) : hidden.delete(run.id));
        curvesLegend(); drawCurves();
      });
    curvesLegend();
    charts.push(curvesLegend);
  }

  // Loss against parameters or FLOPs, with the fitted law and its band.
  const fitSets = () => {
    const axisName = option("fits-x", "non_embedding_parameters"), length = option("fits-length", data.lengths[0]), sets = [];
    for (const fit of data.fits) {
      if (fit.axis !== axisName || fit.length !== length) continue;
      const paint = colour(fit.arm), line = fit.line;
      sets.push({label: "", data: line.x.map((x, i) => ({x, y: line.high[i]})), borderWidth: 0, pointRadius: 0, pointHitRadius: 0, fill: "+1", backgroundColor: clear(paint, .16), order: 4});
      sets.push({label: "", data: line.x.map((x, i) => ({x, y: line.low[i]})), borderWidth: 0, pointRadius: 0, pointHitRadius: 0, order: 4});
      sets.push({label: fit.arm + " fit", data: line.x.map((x, i) => ({x, y: line.y[i]})), borderColor: paint, borderWidth: 1.8,
                 borderDash: fit.healthy ? [] : [6, 4], pointRadius: 0, pointHitRadius: 0, order: 3});
      sets.push({label: fit.arm, data: fit.points, showLine: false, borderColor: paint, backgroundColor: paint, pointStyle: shapeOf(fit.arm),
                 pointRadius: 5, pointHoverRadius: 8, order: 1, measured: true});
      if (fit.held.length)
        sets.push({label: fit.arm + ", predicted without it", data: fit.held, showLine: false, borderColor: paint, backgroundColor: style("--panel"),
                   pointStyle: shapeOf(fit.arm), pointRadius: 7, borderWidth: 2, order: 2, measured: true, whiskers: true});
    }
    const published = data.published.filter(entry => entry[axisName] > 0).map(entry => ({x: entry[axisName], y: entry.loss, run: entry.model}));
    if (published.length && sets.length)
      sets.push({label: "published", data: published, showLine: false, borderColor: style("--faint"), backgroundColor: style("--faint"), pointStyle: "crossRot", pointRadius: 5, borderWidth: 1.6, order: 2, measured: true});
    return sets;
  };
  const fitRanges = name => {
    const values = fitSets().flatMap(set => set.data.map(point => point[name])).filter(value => value > 0);
    if (!option("fits-log", true) || !values.length) return {};
    return name === "y" ? {...logRange(values, 1.01), afterBuildTicks: roundTicks} : logRange(values, 1.03);
  };
  const fitTitles = {non_embedding_parameters: "Non-embedding parameters", parameters: "Parameters", training_flops: "Training FLOPs (model FLOPs)"};
  const drawFits = make("chart-fits", canvas => new Chart(canvas, {
    type: "line",
    data: {datasets: fitSets()},
    options: {
      maintainAspectRatio: false, animation: false, parsing: false,
      scales: {x: {...axis(fitTitles[option("fits-x", "non_embedding_parameters")], option("fits-log", true), option("fits-log", true) ? logTick : short), ...fitRanges("x")},
               y: {...axis("Final loss, nats per token", option("fits-log", true), lossTick), ...fitRanges("y")}},
      plugins: {
        legend: {position: "top", align: "start", labels: {usePointStyle: true, color: style("--ink"), boxHeight: 8, padding: 16,
          filter: item => item.text && !item.text.endsWith(" fit")}},
        tooltip: {...tooltip(), filter: item => item.dataset.measured, callbacks: {
          title: items => items.length ? items[0].raw.run : "",
          label: item => ` ${item.dataset.label}: ${item.parsed.y.toFixed(4)} at ${short(item.parsed.x)}`,
        }},
      },
    },
    plugins: [whiskers],
  }));
  for (const id of ["fits-x", "fits-length", "fits-log"])
    if (drawFits && byId(id)) byId(id).addEventListener("change", drawFits);
  if (drawSizes && byId("sizes-length"))
    byId("sizes-length").addEventListener("change", event => { sizeLength = event.target.value; drawSizes(); });

  // Theme: the system's, until the reader chooses.
  const button = byId("theme");
  const setTheme = name => {
    root.dataset.theme = name;
    if (button) button.textContent = name === "dark" ? "Light" : "Dark";
    if (button) button.setAttribute("aria-label", `Switch to ${name === "dark" ? "light" : "dark"} colours`);
    if (typeof Chart !== "undefined") {
      Chart.defaults.font.family = style("--sans");
      charts.forEach(draw => draw());
    }
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  setTheme(system.matches ? "dark" : "light");
  system.addEventListener("change", () => setTheme(system.matches ? "dark" : "light"));
  if (button) button.addEventListener("click", () => setTheme(dark() ? "light" : "dark"));
  let before = null;
  addEventListener("beforeprint", () => { before = root.dataset.theme; setTheme("light"); });
  addEventListener("afterprint", () => before && setTheme(before));
})();
