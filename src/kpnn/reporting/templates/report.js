"use strict";
(() => {
  const root = document.documentElement;
  const media = window.matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const isDark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : media.matches);

  // A figure's colours follow the page: its JSON is taken anew with every colour that has one for dark replaced.
  const translucent = (hex) => "rgba(" + [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(",") + ",";
  function themed(json) {
    if (!isDark()) return JSON.parse(json);
    for (const [light, dark] of Object.entries(ON_DARK))
      json = json.split('"' + light + '"').join('"' + dark + '"').split(translucent(light)).join(translucent(dark));
    return JSON.parse(json);
  }
  const plots = [...document.querySelectorAll("figure.plot")];
  // Browsers hold few WebGL drawings at a time, some none, and paper none: then the points are drawn one by one.
  const many = plots.filter((figure) => figure.querySelector("script").textContent.includes('"scattergl"')).length > 4;
  const hasGl = !many && !!document.createElement("canvas").getContext("webgl");
  function draw(figure) {
    const canvas = figure.querySelector(".canvas");
    const spec = themed(figure.querySelector("script").textContent);
    const narrow = canvas.clientWidth < 480 && !printing && !spec.layout.meta;
    if (narrow) { spec.layout.font.size = 11; spec.layout.margin.l = 46; spec.layout.margin.r = 8; }
    if (printing) spec.layout.width ??= parseFloat(getComputedStyle(canvas).width);
    if (!hasGl || printing) for (const trace of spec.data) if (trace.type === "scattergl") trace.type = "scatter";
    spec.layout.dragmode = narrow ? false : spec.layout.dragmode;
    const config = { responsive: !spec.layout.width, displaylogo: false, scrollZoom: false, displayModeBar: false };
    figure.dataset.drawn = "yes";
    return Plotly.react(canvas, spec.data, spec.layout, config).then(() => figure.dispatchEvent(new Event("kpnn-drawn")));
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { watcher.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "400px" });
  plots.forEach((figure) => watcher.observe(figure));

  function redraw() {
    plots.filter((figure) => figure.dataset.drawn).forEach(draw);
  }
  document.getElementById("theme").addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; redraw(); });
  media.addEventListener("change", redraw);
  window.addEventListener("beforeprint", () => {
    printing = true;
    root.classList.add("printing"); // figures take their size on paper before they are drawn for it
    plots.filter((figure) => !figure.closest("details:not([open])")).forEach(draw);
  });
  window.addEventListener("afterprint", () => { printing = false; root.classList.remove("printing"); redraw(); plots.filter((figure) => figure.dataset.drawn).forEach((figure) => Plotly.Plots.resize(figure.querySelector(".canvas"))); });

  for (const head of document.querySelectorAll("th button")) head.addEventListener("click", () => {
    const cell = head.closest("th"), body = head.closest("table").tBodies[0], at = cell.cellIndex;
    const up = cell.getAttribute("aria-sort") !== "descending";
    for (const other of cell.parentNode.cells) other.setAttribute("aria-sort", "none");
    cell.setAttribute("aria-sort", up ? "descending" : "ascending");
    const key = (row) => { const c = row.cells[at]; return c.dataset.v ?? c.textContent.trim().replaceAll(",", ""); };
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b), p = parseFloat(x), q = parseFloat(y);
      const order = Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y) : p - q;
      return up ? -order : order;
    });
    body.append(...rows);
  });
  window.kpnn = { isDark, drawAll: () => Promise.all(plots.map(draw)) };
})();
