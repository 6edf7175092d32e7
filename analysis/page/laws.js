// Loss against tokens under the laws in N and D: one curve per arm and size beside its cells.
const hiddenInLaws = new Set();  // arms and sizes
const chosenLaw = () => data.laws.find(law => law.key === option("laws-law", "")) || data.laws[0];
const lawSets = () => chosenLaw().curves.filter(curve => !hiddenInLaws.has(curve.arm) && !hiddenInLaws.has(curve.size)).flatMap(({arm, size, line, points}) => {
  const paint = colour(arm), along = key => line.x.map((x, i) => ({x, y: line[key][i]})).filter(point => point.y !== null);
  const edge = {label: "", borderWidth: 0, pointRadius: 0, pointHitRadius: 0, helper: true, order: 4};
  return [
    {...edge, data: along("high"), fill: "+1", backgroundColor: clear(paint, .13)},
    {...edge, data: along("low")},
    {...edge, data: along("y"), borderColor: paint, borderWidth: 1.8, borderDash: dashOf(size), order: 3},
    {label: `${arm} ${size}`, data: points.map(point => ({...point, low: point.y - (point.deviation || 0), high: point.y + (point.deviation || 0)})), showLine: false,
     borderColor: paint, backgroundColor: paint, pointStyle: shapeOf(arm), pointRadius: 5, pointHoverRadius: 8, whiskers: true, order: 1},
  ];
});
const drawLaws = data.laws.length ? make("chart-laws", canvas => {
  const sets = lawSets();
  return new Chart(canvas, {
    type: "line",
    data: {datasets: sets},
    options: {
      maintainAspectRatio: false, animation: false, parsing: false,
      scales: {x: {...axis("Training tokens", true, logTick), ...rangeOf(sets, "x", 1.1)},
               y: {...axis("Final loss, nats per token", true, lossTick), ...rangeOf(sets, "y", 1.01), afterBuildTicks: roundTicks}},
      plugins: {legend: {display: false}, tooltip: {...tooltip(), filter: item => !item.dataset.helper, callbacks: {
        title: items => items.length ? `${short(items[0].parsed.x)} tokens, ${items[0].raw.length}` : "",
        label: ({dataset, raw}) => ` ${dataset.label}: ${raw.y.toFixed(4)} measured, ${raw.fitted.toFixed(4)} by the law, ${raw.seeds} seed${raw.seeds > 1 ? "s" : ""}`,
      }}},
    },
    plugins: [whiskers],
  });
}) : null;
const lawsLegend = () => {
  const {curves, words} = chosenLaw(), seen = key => [...new Set(curves.map(curve => curve[key]))];
  legend(byId("legend-laws"), [
    ...seen("arm").map(name => ({name, label: name, colour: colour(name), mark: marks[shapeOf(name)], hidden: hiddenInLaws.has(name)})),
    ...seen("size").map(name => ({name, label: name, colour: style("--soft"), dash: dashOf(name), hidden: hiddenInLaws.has(name)})),
  ], entry => {
    entry.hidden ? hiddenInLaws.add(entry.name) : hiddenInLaws.delete(entry.name);
    drawLaws();
  });
  byId("laws-words").textContent = words;
};
if (drawLaws) {
  redrawOn(["laws-law"], drawLaws);
  redrawOn(["laws-law"], lawsLegend);
  lawsLegend();
  charts.push(lawsLegend);
}
