// Right answers on probes: one line per arm with its interval, chance as a dashed line.
const probesOf = (task, against) => data.probes.filter(curves => curves.task === task && curves.against === against);
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
const axisWords = {length: "sequence length", distance: "distance to the evidence", pairs: "key-value pairs", state: "numbers kept per sequence", layers: "layers"};
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
  if (curves.chance !== null)
    sets.push({label: "chance", data: [Math.min(...x) / 1.15, Math.max(...x) * 1.15].map(at => ({x: at, y: curves.chance})), borderColor: style("--faint"),
               borderDash: [6, 4], borderWidth: 1.5, pointRadius: 0, pointHitRadius: 0, helper: true, order: 3});
  return sets;
};
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
  const curves = chosenProbes(), log = curves.against !== "layers";
  return new Chart(canvas, {
    type: "line",
    data: {datasets: probeSets(curves)},
    options: {
      maintainAspectRatio: false, animation: false, parsing: false,
      scales: {x: {...axis(curves.words, log, short), ...probeRange(curves), afterBuildTicks: probeTicks(curves)},
               y: {...axis("Right answers", false, value => Math.round(100 * value) + " %"), min: 0, max: 1}},
      plugins: {
        legend: {position: "top", align: "start", labels: {usePointStyle: true, color: style("--ink"), boxHeight: 8, padding: 16, filter: item => item.text}},
        tooltip: {...tooltip(), filter: item => !item.dataset.helper, callbacks: {
          title: items => items.length ? `${curves.words}: ${short(items[0].parsed.x)}` : "",
          label: ({dataset, raw}) => ` ${dataset.label}: ${shareText(raw.y)}${raw.low === null ? "" : ` [${shareText(raw.low)}, ${shareText(raw.high)}]`} at ${raw.tested} tokens, ${raw.seeds} seed${raw.seeds > 1 ? "s" : ""}, ${raw.size}`,
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
    const key = `${depth.probe.replace(/^task=/, "").replaceAll("=", " ")} at ${depth.trained} tokens`;
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
