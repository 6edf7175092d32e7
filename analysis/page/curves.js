// Training and validation curves.
const hidden = new Set();
const xTitles = {step: "Step", tokens: "Tokens", flops: "Model FLOPs", hours: "Wall time, hours"};
// The seeds of an arm, size and length: their mean, and the range between them.
const bandSets = (x, log) => {
  const sets = [];
  for (const band of data.bands) {
    if (band.runs.every(id => hidden.has(id))) continue;
    const points = key => band[x].map((value, i) => ({x: value, y: band[key][i]})).filter(p => p.y !== null && (!log || p.x > 0));
    const edge = {borderWidth: 0, pointRadius: 0, pointHitRadius: 0, helper: true, order: 3};
    if (band.runs.length > 1) {
      sets.push({...edge, data: points("high"), fill: "+1", backgroundColor: clear(colour(band.arm), .18)});
      sets.push({...edge, data: points("low")});
    }
    const mean = points("loss");
    sets.push({data: mean, label: [band.arm, band.size, band.length].join(" "), part: band.runs.length > 1 ? `mean of ${band.runs.length} seeds` : "smoothed",
               borderColor: colour(band.arm), backgroundColor: colour(band.arm), borderDash: dashOf(band.size), borderWidth: 1.7, pointRadius: 0, pointHitRadius: 5, order: 1, ...marksOf(band.length, mean)});
  }
  return sets;
};
const banded = new Set(data.bands.flatMap(band => band.runs));
const curveSets = () => {
  const x = option("curves-x", "tokens"), which = option("curves-which", "both"), log = option("curves-log-x", false);
  const sets = which === "seeds" ? bandSets(x, log) : [];
  for (const run of data.runs) {
    if (hidden.has(run.id) || (which === "seeds" && banded.has(run.id))) continue;
    const points = part => part[x].map((value, i) => ({x: value, y: part.loss[i]})).filter(p => p.y !== null && (!log || p.x > 0));
    const common = {run, borderColor: colour(run.arm), backgroundColor: colour(run.arm), borderDash: dashOf(run.size), label: run.id};
    const training = points(run.curve), validation = points(run.evaluations);
    const alone = which === "training" || which === "seeds" || run.evaluations.loss.length < 2;
    if (which !== "validation")
      sets.push({...common, data: training, pointRadius: 0, pointHitRadius: 5, borderWidth: alone ? 1.4 : 1, ...marksOf(run.length, training),
                 borderColor: clear(colour(run.arm), alone ? .85 : data.runs.length > 12 ? .35 : .65), part: "training", order: 2});
    if (which !== "training" && which !== "seeds")
      sets.push({...common, data: validation, pointStyle: shapeOf(run.arm), pointRadius: validation.length > 1 && (data.runs.length > 12 || data.lengths.length > 1) ? 0 : 2.5, pointHitRadius: 6, pointHoverRadius: 6, borderWidth: 1.8, part: "validation", order: 1, ...marksOf(run.length, validation)});
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
    plugins: {legend: {display: false}, tooltip: {...tooltip(), filter: item => !item.dataset.helper, callbacks: {
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
    colour: colour(runs[0].arm), dash: dashOf(runs[0].size), mark: markOf(runs[0].length), hidden: runs.every(run => hidden.has(run.id)), runs})),
    entry => {
      for (const run of entry.runs) entry.hidden ? hidden.add(run.id) : hidden.delete(run.id);
      drawCurves();
    });
};
if (drawCurves) {
  redrawOn(["curves-x", "curves-which", "curves-log-x", "curves-log-y"], drawCurves);
  for (const [id, hide] of [["curves-all", false], ["curves-none", true]])
    if (byId(id)) byId(id).addEventListener("click", () => {
      data.runs.forEach(run => hide ? hidden.add(run.id) : hidden.delete(run.id));
      curvesLegend(); drawCurves();
    });
  curvesLegend();
  charts.push(curvesLegend);
}

