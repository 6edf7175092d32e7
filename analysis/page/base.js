// What all charts of the page share. All data stands in the JSON block "data"; the tables beside the
// charts say the same numbers and need no script.
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const charts = [];
const style = name => getComputedStyle(root).getPropertyValue(name).trim();
const byId = id => document.getElementById(id);

const dark = () => root.dataset.theme === "dark";
const armOf = name => data.arms.find(arm => arm.name === name);
const colour = name => { const arm = armOf(name); return arm ? (dark() ? arm.dark : arm.light) : "#888"; };
const clear = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, "0");
const dashes = [[], [7, 4], [2, 3], [9, 3, 2, 3], [18, 4], [4, 2, 4, 8], [9, 3, 2, 3, 2, 3], [16, 3, 6, 3]];
const shapes = ["circle", "rectRot", "triangle", "rect", "star", "crossRot"];
const shapeOf = name => shapes[Math.max(0, data.arms.findIndex(arm => arm.name === name)) % shapes.length];
const dashOf = size => dashes[Math.max(0, data.sizes.indexOf(size)) % dashes.length];

// A few marks on a curve say its length; on those of the first length there are none.
const marksOf = (length, points) => {
  const place = data.lengths.indexOf(length), every = Math.max(1, Math.round(points.length / 8));
  return place < 1 ? {} : {pointStyle: shapes[place % shapes.length], pointRadius: points.map((_, i) => i % every === every >> 1 ? 3.5 : 0)};
};
const markOf = length => { const place = data.lengths.indexOf(length); return place < 1 ? "" : marks[shapes[place % shapes.length]]; };
const marks = {  // as Chart.js draws its shapes
  circle: '<circle cx="18" cy="5" r="3.2"/>', rectRot: '<path d="M18 .5l4.5 4.5-4.5 4.5-4.5-4.5z"/>',
  triangle: '<path d="M18 .5l4.3 8h-8.6z"/>', rect: '<path d="M15 2h6v6h-6z"/>',
  star: '<path d="M18 1v8M14 5h8M15 2l6 6m0-6l-6 6"/>', crossRot: '<path d="M15 2l6 6m0-6l-6 6"/>',
};

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
const roundTicks = (scale, most = 7) => {
  const span = scale.max - scale.min;
  const power = 10 ** Math.floor(Math.log10(span / most));
  const step = [1, 2, 5, 10].map(lead => lead * power).find(size => span / size <= most);
  scale.ticks = [];
  for (let value = Math.ceil(scale.min / step) * step; value <= scale.max; value += step)
    scale.ticks.push({value: +value.toPrecision(8)});
};
const tooltip = () => ({
  backgroundColor: style("--ink"), titleColor: style("--paper"), bodyColor: style("--paper"),
  padding: 10, cornerRadius: 5, boxPadding: 4, usePointStyle: true,
});

// An interval in words; a null end has no bound. known: whether there is an interval, whose ends
// may both be unbounded (default: an end is given).
const rangeWords = ({low, high, known}, words) => !(known ?? (low != null || high != null)) ? "" :
  ` [${low == null ? "unbounded" : words(low)}, ${high == null ? "unbounded" : words(high)}]`;
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
        const {low, high, known} = set.data[i];
        if (!(known ?? (low != null || high != null)) || (low != null && low === high)) return;
        const top = high == null ? chart.chartArea.top : chart.scales.y.getPixelForValue(high);
        const bottom = low == null ? chart.chartArea.bottom : chart.scales.y.getPixelForValue(low);
        ctx.beginPath();
        ctx.moveTo(element.x, top); ctx.lineTo(element.x, bottom);
        for (const y of [high == null ? null : top, low == null ? null : bottom].filter(end => end !== null)) { ctx.moveTo(element.x - 4, y); ctx.lineTo(element.x + 4, y); }
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
    const line = `<svg width="36" height="10" aria-hidden="true"><line x1="1" y1="5" x2="35" y2="5" stroke="${entry.colour}" stroke-width="2.4" stroke-dasharray="${(entry.dash || []).join(" ")}"/><g fill="${entry.colour}" stroke="${entry.colour}">${entry.mark || ""}</g></svg>`;
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

// Arrow keys walk over a chart's points: each is shown as when pointed at, and read out.
const say = text => { const box = byId("live"); if (box) box.textContent = text; };
const moves = {ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0]};
const walk = canvas => {
  let place = 0, index = -1;
  canvas.tabIndex = 0;
  canvas.addEventListener("keydown", event => {
    const move = moves[event.key], chart = Chart.getChart(canvas);
    if (!move || !chart) return;
    event.preventDefault();
    const sets = chart.data.datasets.map((set, i) => i)
      .filter(i => !chart.data.datasets[i].helper && chart.data.datasets[i].data.length);
    if (!sets.length) return;
    place = (place + move[0] + sets.length) % sets.length;
    const points = chart.data.datasets[sets[place]].data;
    index = Math.min(Math.max(index + move[1], 0), points.length - 1);
    const active = [{datasetIndex: sets[place], index}], {x, y} = chart.getDatasetMeta(sets[place]).data[index];
    chart.setActiveElements(active);
    chart.tooltip.setActiveElements(active, {x, y});
    chart.update("none");
    say([...(chart.tooltip.title || []), ...(chart.tooltip.body || []).flatMap(part => part.lines)].join(" ").trim());
  });
};

const make = (id, build) => {
  const canvas = byId(id);
  if (!canvas || typeof Chart === "undefined") return;
  let chart = null;
  const draw = () => { if (chart) chart.destroy(); chart = build(canvas); };
  draw();
  walk(canvas);
  charts.push(draw);
  return draw;
};
const redrawOn = (ids, draw) => {
  for (const id of ids) if (draw && byId(id)) byId(id).addEventListener("change", draw);
};
const option = (id, fallback) => { const box = byId(id); return box ? (box.type === "checkbox" ? box.checked : box.value) : fallback; };
