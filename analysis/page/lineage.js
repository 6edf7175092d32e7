// Loss along the compute of models that grew, and the models from scratch beside them.
const lineageSets = () => {
  const sets = [];
  for (const lineage of data.lineages) {
    const paint = colour(lineage.arm), name = [lineage.arm, data.lineages.length > 2 ? lineage.size : ""].filter(Boolean).join(" ");
    sets.push({label: name, data: lineage.stages, borderColor: paint, backgroundColor: paint, pointStyle: shapeOf(lineage.arm),
               pointRadius: 6, pointHoverRadius: 9, borderWidth: 2.2, whiskers: true, order: 1});
    for (const total of [true, false]) {
      const points = lineage.scratch.filter(point => point.total === total);
      if (!points.length) continue;
      const own = colour(points[0].arm);
      sets.push({label: `${points[0].arm}, ${points[0].role}`, data: points, showLine: false, borderColor: own, backgroundColor: style("--panel"), pointStyle: shapeOf(points[0].arm),
                 pointRadius: total ? 7.5 : 4.5, pointHoverRadius: 9, borderWidth: 2, whiskers: true, order: 2});
    }
  }
  return sets;
};
const lineageTitle = "Model FLOPs of the whole lineage";
if (data.lineages.length) make("chart-lineage", canvas => {
  const sets = lineageSets();
  return new Chart(canvas, {
    type: "line",
    data: {datasets: sets},
    options: {
      maintainAspectRatio: false, animation: false, parsing: false,
      scales: {x: {...axis(lineageTitle, true, logTick), ...rangeOf(sets, "x", 1.25)},
               y: {...axis("Final loss, nats per token", false, lossTick), grace: "8%"}},
      plugins: {
        legend: {position: "top", align: "start", labels: {usePointStyle: true, color: style("--ink"), boxHeight: 8, padding: 14}},
        tooltip: {...tooltip(), callbacks: {
          title: items => items.length ? `${short(items[0].parsed.x)} FLOPs` : "",
          label: ({dataset, raw}) => ` ${dataset.label}: ${raw.arm} ${raw.size}, ${raw.y.toFixed(4)} nats/token [${raw.low.toFixed(4)}, ${raw.high.toFixed(4)}], ${raw.seeds} seed${raw.seeds > 1 ? "s" : ""}`,
        }},
      },
    },
    plugins: [whiskers],
  });
});
