// Right answers on probes: one line per arm with its interval, a uniform guess as a dashed line. Or
// the least layers that solve a trained length, open marks where none did.
const allProbes = [...data.probes, ...data.depth_curves];
const probesOf = (task, against) => allProbes.filter(curves => curves.task === task && curves.against === against);
const probesTask = () => option("probes-task", "");
const chosenProbes = () => {
  const found = probesOf(probesTask(), option("probes-x", "length"));
  return found.find(curves => curves.held === option("probes-held", "")) || found[0];
};
// The choices of a list that another choice decides; what was chosen stays where it can.
const fillChoices = (id, entries) => {
  const box = byId(id), before = box.value;
  box.textContent = "";
  for (const [value, words] of entries) box.append(new Option(words, value));
  if (entries.some(([value]) => value === before)) box.value = before;
};
const axisWords = {length: "sequence length", distance: "distance to the evidence", pairs: "key-value pairs", state: "numbers kept per sequence", layers: "layers", depth: "trained length: least layers"};
const fillProbes = () => {
  const there = Object.keys(axisWords).filter(against => probesOf(probesTask(), against).length);
  fillChoices("probes-x", there.map(against => [against, axisWords[against]]));
  fillChoices("probes-held", probesOf(probesTask(), option("probes-x", "length")).map(curves => [curves.held, curves.held]));
};
const shareText = value => (100 * value).toFixed(1) + " %";
const probeSets = curves => {
  const sets = [];
  for (const line of curves.lines) {
    const paint = colour(line.arm), known = line.points.filter(point => point.low !== null);
    const edge = {borderWidth: 0, pointRadius: 0, pointHitRadius: 0, helper: true, label: "", order: 4};
    sets.push({...edge, data: known.map(point => ({x: point.x, y: point.high})), fill: "+1", backgroundColor: clear(paint, .13)});
    sets.push({...edge, data: known.map(point => ({x: point.x, y: point.low}))});
    sets.push({label: line.arm, data: line.points, borderColor: paint, backgroundColor: paint, pointStyle: shapeOf(line.arm),
               pointRadius: 4.5, pointHoverRadius: 8, borderWidth: 2, whiskers: true, order: 1});
  }
  const x = curves.lines.flatMap(line => line.points.map(point => point.x));
  if (curves.uniform_guess !== null)
    sets.push({label: "uniform guess", data: [Math.min(...x) / 1.15, Math.max(...x) * 1.15].map(at => ({x: at, y: curves.uniform_guess})), borderColor: style("--faint"),
               borderDash: [6, 4], borderWidth: 1.5, pointRadius: 0, pointHitRadius: 0, helper: true, order: 3});
  return sets;
};
// Arms stand side by side at a length, for they often need equally many layers. What is solved is joined.
const depthSets = curves => curves.lines.map((line, place) => {
  const paint = colour(line.arm), aside = 1.05 ** (place - (curves.lines.length - 1) / 2);
  return {label: line.arm, data: line.points.map(point => ({...point, x: point.x * aside, trained: point.x})), borderColor: paint, backgroundColor: paint,
          pointBackgroundColor: line.points.map(point => point.solved ? paint : style("--paper")), pointBorderColor: paint, pointBorderWidth: 2,
          pointStyle: shapeOf(line.arm), pointRadius: 5.5, pointHoverRadius: 8, borderWidth: 2, order: 1,
          segment: {borderColor: part => line.points[part.p0DataIndex].solved && line.points[part.p1DataIndex].solved ? paint : "transparent"}};
});
const depthAxis = curves => {
  const most = Math.max(...curves.lines.flatMap(line => line.points.flatMap(point => point.tried)));
  return {...axis("Least layers (open: none up to there)", false, value => value), min: .5, max: most + .5,
          afterBuildTicks: scale => { scale.ticks = Array.from({length: most}, (_, i) => ({value: i + 1})); }};
};
const depthWords = ({label}, {solved, y, tried, trained}) =>
  ` ${label}: ${solved ? `${y} layer${y > 1 ? "s" : ""}` : "none"} of ${tried.join(", ")} at ${trained} tokens`;
const probeWords = ({label}, {y, low, high, tested, seeds, size}) =>
  ` ${label}: ${shareText(y)}${low === null ? "" : ` [${shareText(low)}, ${shareText(high)}]`} at ${tested} tokens, ${seeds} seed${seeds > 1 ? "s" : ""}, ${size}`;
const probeRange = curves => {
  const x = curves.lines.flatMap(line => line.points.map(point => point.x)), low = Math.min(...x), high = Math.max(...x);
  return curves.against === "layers" ? {min: low - .4, max: high + .4} : logRange(x, 1.15);
};
const probeTicks = curves => {
  const x = [...new Set(curves.lines.flatMap(line => line.points.map(point => point.x)))].sort((a, b) => a - b);
  return scale => { if (x.length < 9) scale.ticks = x.map(value => ({value})); };
};
const drawProbes = data.probes.length ? make("chart-probes", canvas => {
  fillProbes();
  const curves = chosenProbes(), log = curves.against !== "layers", depth = curves.against === "depth";
  return new Chart(canvas, {
    type: "line",
    data: {datasets: depth ? depthSets(curves) : probeSets(curves)},
    options: {
      maintainAspectRatio: false, animation: false, parsing: false,
      scales: {x: {...axis(curves.words, log, short), ...probeRange(curves), afterBuildTicks: probeTicks(curves)},
               y: depth ? depthAxis(curves) : {...axis("Right answers", false, value => Math.round(100 * value) + " %"), min: 0, max: 1}},
      plugins: {
        legend: {position: "top", align: "start", labels: {usePointStyle: true, color: style("--ink"), boxHeight: 8, padding: 16, filter: item => item.text}},
        tooltip: {...tooltip(), filter: item => !item.dataset.helper, callbacks: {
          title: items => items.length ? `${curves.words}: ${short(items[0].raw.trained ?? items[0].parsed.x)}` : "",
          label: ({dataset, raw}) => (depth ? depthWords : probeWords)(dataset, raw),
        }},
      },
    },
    plugins: [whiskers],
  });
}) : null;
// The least layers that solved each length of the task, in words.
const sayDepths = () => {
  const groups = new Map();
  for (const depth of data.depths.filter(entry => entry.task === probesTask())) {
    const key = `${depth.probe.replace(/^task=/, "").replaceAll("=", " ")}${depth.width === null ? "" : ` of width ${depth.width}`} at ${depth.trained} tokens`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(`${depth.arm} ${depth.least === null ? "none of " + depth.tried.join(", ") : depth.least}`);
  }
  byId("probes-depths").textContent = groups.size
    ? "Least layers that solved it (over 90 % of the sequences without a mistake): " + [...groups].map(([key, arms]) => `${key}: ${arms.join(", ")}`).join("; ") + "."
    : "";
};
if (drawProbes) {
  redrawOn(["probes-task", "probes-x", "probes-held"], drawProbes);
  redrawOn(["probes-task"], sayDepths);
  sayDepths();
}
