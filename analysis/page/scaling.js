// One value per arm and size, with whiskers where points carry {low, high}.
const bySize = (id, settings) => make(id, canvas => {
  const log = settings.log && settings.log();
  const sets = data.arms.map(arm => ({
    label: arm.name, borderColor: colour(arm.name), backgroundColor: colour(arm.name), whiskers: true,
    pointStyle: shapeOf(arm.name), pointRadius: 5.5, pointHoverRadius: 8, borderWidth: 2, spanGaps: true,
    data: data.sizes.map(size => ({x: size, y: null, ...settings.point(arm.name, size)})),
  })).filter(set => set.data.some(point => point.y !== null));
  return new Chart(canvas, {
    type: "line",
    data: {labels: data.sizes, datasets: sets},
    options: {
      maintainAspectRatio: false, animation: false,
      scales: {x: {...axis("Size", false), type: "category", offset: true, ticks: {color: style("--soft")}},
               y: {...axis(settings.title(), log, log ? logTick : settings.tick), grace: "6%", ...(settings.y || {}),
                   ...(log ? logRange(sets.flatMap(set => set.data.map(point => point.y)).filter(y => y > 0), 1.4) : {})}},
      plugins: {
        legend: {position: "top", align: "start", labels: {usePointStyle: true, color: style("--ink"), boxHeight: 8, padding: 16}},
        tooltip: {...tooltip(), callbacks: {label: item => ` ${item.dataset.label}: ${settings.words(item.raw)}`}},
      },
    },
    plugins: [whiskers],
  });
});
const cellOf = (arm, size, length) => data.cells.find(c => c.arm === arm && c.size === size && c.length === length);
const lastLength = data.lengths[data.lengths.length - 1];

// Final loss per size, the paper's Figure 2.
const drawSizes = bySize("chart-sizes", {
  title: () => "Final loss, nats per token", tick: lossTick,
  point: (arm, size) => {
    const cell = cellOf(arm, size, option("sizes-length", lastLength));
    if (!cell) return {};
    const spread = cell.deviation || 0;
    return {y: cell.loss, low: cell.loss - spread, high: cell.loss + spread, cell};
  },
  words: ({cell}) => `${cell.loss.toFixed(4)} nats/token, ${cell.bits === null ? "-" : cell.bits.toFixed(4)} bits/byte, ${short(cell.parameters)} parameters, ${cell.seeds} seed${cell.seeds > 1 ? "s" : ""}`,
});
redrawOn(["sizes-length"], drawSizes);

// Tokens per second.
const drawSpeed = bySize("chart-speed", {
  title: () => "Tokens per second", tick: short, log: () => option("speed-log", true),
  point: (arm, size) => {
    const cell = cellOf(arm, size, option("speed-length", lastLength));
    return cell && cell.speed > 0 ? {y: cell.speed, cell} : {};
  },
  words: ({y, cell}) => `${short(y)} tokens/s, ${cell.seeds} run${cell.seeds > 1 ? "s" : ""}`,
});
redrawOn(["speed-length", "speed-log"], drawSpeed);

// Compute- or parameter-equivalent gain.
const drawGains = bySize("chart-gains", {
  title: () => option("gains-x", "training_flops") === "training_flops" ? "Compute-equivalent gain" : "Parameter-equivalent gain",
  tick: value => +value.toPrecision(3) + " x", y: {suggestedMin: 1, suggestedMax: 1},
  point: (arm, size) => {
    const gain = data.gains.find(g => g.arm === arm && g.size === size && g.length === option("gains-length", lastLength) && g.axis === option("gains-x", "training_flops"));
    return gain ? {y: gain.gain, low: gain.low, high: gain.high, known: gain.known} : {};
  },
  words: point => `${point.y.toFixed(2)} x${rangeWords(point, value => value.toFixed(2))}`,
});
redrawOn(["gains-x", "gains-length"], drawGains);

// Loss against parameters or FLOPs, with the fitted law and its band.
const fitSets = () => {
  const axisName = option("fits-x", "non_embedding_parameters"), length = option("fits-length", data.lengths[0]), sets = [];
  for (const fit of data.fits) {
    if (fit.axis !== axisName || fit.length !== length) continue;
    const paint = colour(fit.arm), line = fit.line;
    sets.push({label: "", data: line.x.map((x, i) => ({x, y: line.high[i]})), borderWidth: 0, pointRadius: 0, pointHitRadius: 0, helper: true, fill: "+1", backgroundColor: clear(paint, .16), order: 4});
    sets.push({label: "", data: line.x.map((x, i) => ({x, y: line.low[i]})), borderWidth: 0, pointRadius: 0, pointHitRadius: 0, helper: true, order: 4});
    sets.push({label: fit.arm + " fit", data: line.x.map((x, i) => ({x, y: line.y[i]})), borderColor: paint, borderWidth: 1.8,
               borderDash: fit.healthy ? [] : [6, 4], pointRadius: 0, pointHitRadius: 0, helper: true, order: 3});
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
redrawOn(["fits-x", "fits-length", "fits-log"], drawFits);

// What the laws leave: measured over fitted, less 1.
const residualSets = () => data.fits
  .filter(fit => fit.axis === option("fits-x", "non_embedding_parameters") && fit.length === option("fits-length", data.lengths[0]))
  .map(fit => ({label: fit.arm, showLine: false, borderColor: colour(fit.arm), backgroundColor: colour(fit.arm), pointStyle: shapeOf(fit.arm), pointRadius: 5, pointHoverRadius: 8,
                data: fit.points.map(point => ({x: point.x, y: 100 * point.residual, run: point.run}))}));
const drawResiduals = make("chart-residuals", canvas => new Chart(canvas, {
  type: "line",
  data: {datasets: residualSets()},
  options: {
    maintainAspectRatio: false, animation: false, parsing: false,
    scales: {x: {...axis(fitTitles[option("fits-x", "non_embedding_parameters")], option("fits-log", true), option("fits-log", true) ? logTick : short), ...fitRanges("x")},
             y: {...axis("Measured over fitted, %", false, value => +value.toPrecision(3)), grace: "15%", suggestedMin: -.1, suggestedMax: .1, afterBuildTicks: scale => roundTicks(scale, 4)}},
    plugins: {
      legend: {display: false},
      tooltip: {...tooltip(), callbacks: {
        title: items => items.length ? items[0].raw.run : "",
        label: item => ` ${item.dataset.label}: ${item.parsed.y >= 0 ? "+" : ""}${item.parsed.y.toFixed(3)} % at ${short(item.parsed.x)}`,
      }},
    },
  },
}));
redrawOn(["fits-x", "fits-length", "fits-log"], drawResiduals);

// Cost of a token against the length of its context, per architecture.
const contextPaints = ["#7a5195", "#2f7f86", "#b5651d", "#5b7a2a", "#a23b52"];
const contextSets = () => data.context.map((model, i) => {
  const paint = model.arm ? colour(model.arm) : contextPaints[i % contextPaints.length];
  return {label: model.architecture, data: model[option("context-quantity", "training_seconds")].filter(point => point.y > 0),
          borderColor: paint, backgroundColor: paint, pointStyle: shapes[i % shapes.length], pointRadius: 4.5, pointHoverRadius: 8, borderWidth: 2};
}).filter(set => set.data.length);
const drawContext = make("chart-context", canvas => {
  const unit = option("context-quantity", "training_seconds").endsWith("seconds") ? "seconds" : "bytes";
  return new Chart(canvas, {
    type: "line",
    data: {datasets: contextSets()},
    options: {
      maintainAspectRatio: false, animation: false, parsing: false,
      scales: {x: axis("Context, tokens", true, logTick), y: axis(`Cost of a token, ${unit}`, true, value => value >= 1 ? logTick(value) : logTick(value * 1e9) && value.toExponential())},
      plugins: {
        legend: {position: "top", align: "start", labels: {usePointStyle: true, color: style("--ink"), boxHeight: 8, padding: 16}},
        tooltip: {...tooltip(), callbacks: {label: item => ` ${item.dataset.label}: ${item.parsed.y.toPrecision(3)} ${unit} at ${item.parsed.x} tokens`}},
      },
    },
  });
});
redrawOn(["context-quantity"], drawContext);
