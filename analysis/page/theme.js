// Theme: the system's, until the reader chooses; the choice outlives a page that reloads itself.
const remembered = () => { try { return localStorage.getItem("metascale-theme"); } catch { return null; } };
const remember = name => { try { localStorage.setItem("metascale-theme", name); } catch { /* files may have no storage */ } };
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
setTheme(remembered() || (system.matches ? "dark" : "light"));
system.addEventListener("change", () => setTheme(system.matches ? "dark" : "light"));
if (button) button.addEventListener("click", () => { setTheme(dark() ? "light" : "dark"); remember(root.dataset.theme); });
let before = null;
addEventListener("beforeprint", () => { before = root.dataset.theme; setTheme("light"); });
addEventListener("afterprint", () => before && setTheme(before));
