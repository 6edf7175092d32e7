// Profiles of equal FLOPs with their parabolas, and the optima against the budgets.
const isoflopAxis = () => option("isoflop-x", "non_embedding_parameters");
const isoflopSets = () => {
  const first = data.isoflop.length ? data.isoflop[0].arm : "";
  const entry = data.isoflop.find(e => e.arm === option("isoflop-arm", first) && e.axis === isoflopAxis());
  if (!entry) return [];
  return entry.profiles.flatMap((profile, i) => {
    const paint = dark() ? profile.dark : profile.light, label = short(profile.flops) + " FLOPs";
    return [
      {label: "", data: profile.line.filter(p => p.y !== null), borderColor: paint, borderWidth: 1.6, borderDash: profile.used ? [] : [6, 4],
       pointRadius: 0, pointHitRadius: 0, helper: true, order: 2},
      {label, data: profile.points, showLine: false, borderColor: paint, backgroundColor: paint, pointStyle: shapes[i % shapes.length],
       pointRadius: 5, pointHoverRadius: 8, order: 1},
    ];
  });
};
const isoflopLegend = () => ({position: "top", align: "start", labels: {usePointStyle: true, color: style("--ink"), boxHeight: 8, padding: 16, filter: item => item.text}});
const rangeOf = (sets, name, margin) => {
  const values = sets.flatMap(set => set.data.map(point => point[name])).filter(value => value > 0);
  return values.length ? logRange(values, margin) : {};
};
const drawIsoflop = make("chart-isoflop", canvas => {
  const sets = isoflopSets();
  return new Chart(canvas, {
    type: "line",
    data: {datasets: sets},
    options: {
      maintainAspectRatio: false, animation: false, parsing: false,
      scales: {x: {...axis(fitTitles[isoflopAxis()], true, logTick), ...rangeOf(sets, "x", 1.1)},
               y: {...axis("Final loss, nats per token", false, lossTick), grace: "5%"}},
      plugins: {legend: isoflopLegend(), tooltip: {...tooltip(), filter: item => !item.dataset.helper, callbacks: {
        title: items => items.length ? items[0].raw.size : "",
        label: item => ` ${item.dataset.label}: ${item.parsed.y.toFixed(4)} at ${short(item.parsed.x)}, ${item.raw.seeds} seed${item.raw.seeds > 1 ? "s" : ""}`,
      }}},
    },
  });
});
redrawOn(["isoflop-arm", "isoflop-x"], drawIsoflop);

const optimaSets = () => data.isoflop.filter(entry => entry.axis === isoflopAxis()).flatMap(entry => {
  const paint = colour(entry.arm), edge = {borderWidth: 0, pointRadius: 0, pointHitRadius: 0, helper: true, label: "", order: 4};
  const along = key => entry.line.map(point => ({x: point.x, y: point[key]})).filter(point => point.y !== null);
  return [
    {...edge, data: along("high"), fill: "+1", backgroundColor: clear(paint, .16)},
    {...edge, data: along("low")},
    {...edge, data: along("y"), borderColor: paint, borderWidth: 1.8, borderDash: entry.healthy ? [] : [6, 4], order: 3},
    {label: entry.arm, data: entry.profiles.filter(p => p.used).map(p => ({x: p.flops, y: p.optimum, low: p.low, high: p.high, known: p.known, loss: p.loss})), showLine: false,
     borderColor: paint, backgroundColor: paint, pointStyle: shapeOf(entry.arm), pointRadius: 5, pointHoverRadius: 8, whiskers: true, order: 1},
  ];
});
const drawOptima = make("chart-optima", canvas => {
  const sets = optimaSets();
  return new Chart(canvas, {
    type: "line",
    data: {datasets: sets},
    options: {
      maintainAspectRatio: false, animation: false, parsing: false,
      scales: {x: {...axis("Budget, model FLOPs", true, logTick), ...rangeOf(sets, "x", 1.1)},
               y: {...axis("Optimal " + fitTitles[isoflopAxis()].toLowerCase(), true, logTick), ...rangeOf(sets, "y", 1.2)}},
      plugins: {legend: isoflopLegend(), tooltip: {...tooltip(), filter: item => !item.dataset.helper, callbacks: {
        title: items => items.length ? short(items[0].parsed.x) + " FLOPs" : "",
        label: item => ` ${item.dataset.label}: ${short(item.parsed.y)}${rangeWords(item.raw, short)}, loss ${item.raw.loss.toFixed(4)}`,
      }}},
    },
    plugins: [whiskers],
  });
});
redrawOn(["isoflop-x"], drawOptima);
