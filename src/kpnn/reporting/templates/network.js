"use strict";
(() => {
  const figure = document.getElementById("figure-network");
  if (!figure) return;
  const canvas = figure.querySelector(".canvas"), stage = figure.querySelector(".stage");
  const status = figure.querySelector("[role=status]"), button = figure.querySelector("button"), search = figure.querySelector("input");
  const { nodes, kept, edges, at, heights, ranges } = JSON.parse(figure.querySelector("script").textContent).layout.meta;
  let showsAway = false, found = null;

  // The edges of a node, drawn again in the colour that stands out, and a ring around the node.
  function light(node) {
    const lit = canvas.data.findIndex((trace) => trace.name === "lit"), x = [], y = [];
    const shown = (id) => kept[id] || showsAway;
    for (const [parent, child] of node === null ? [] : edges) if ((parent === node || child === node) && shown(parent) && shown(child)) {
      x.push(at[parent][0], at[child][0], null); y.push(at[parent][1], at[child][1], null);
    }
    const ring = node === null ? [] : [{ type: "circle", xref: "x", yref: "y", xsizemode: "pixel", ysizemode: "pixel", xanchor: at[node][0], yanchor: at[node][1],
      x0: -15, x1: 15, y0: -15, y1: 15, line: { color: canvas.data[lit].line.color, width: 2.5 } }];
    return Plotly.update(canvas, { x: [x], y: [y], visible: true }, { shapes: ring }, [lit]);
  }
  function apply() {
    const away = canvas.data.flatMap((trace, number) => (trace.name === "away" || trace.name === "pruned away" ? [number] : []));
    const height = Math.max(220, heights[showsAway ? 1 : 0]);
    canvas.style.height = height + "px";
    if (away.length) Plotly.update(canvas, { visible: showsAway }, { height, "yaxis.range": ranges[showsAway ? 1 : 0].slice() }, away);
    return light(found);
  }
  figure.addEventListener("kpnn-drawn", () => {
    canvas.style.width = canvas.layout.width + "px";
    canvas.removeAllListeners("plotly_hover"); canvas.removeAllListeners("plotly_unhover");
    canvas.on("plotly_hover", ({ points: [point] }) => {
      const node = at.findIndex(([x, y]) => x === point.x && y === point.y);
      if (node >= 0) light(node);
    });
    canvas.on("plotly_unhover", () => light(found));
    apply();
  });
  button?.addEventListener("click", () => { showsAway = !showsAway; button.setAttribute("aria-pressed", showsAway); apply(); });
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase(), names = nodes.map((name) => name.toLowerCase());
    const id = !wanted ? -1 : names.indexOf(wanted) >= 0 ? names.indexOf(wanted) : names.findIndex((name) => name.includes(wanted));
    found = id < 0 ? null : id;
    status.textContent = !wanted ? "" : found === null ? "no such node" : nodes[found] + (kept[found] ? "" : ", pruned away");
    if (found !== null && !kept[found] && !showsAway) { button.click(); return; }
    if (found !== null) {
      const { l, t } = canvas.layout.margin, [low, high] = canvas.layout.yaxis.range;
      const x = l + at[found][0] + 20, y = t + (at[found][1] - high) / (low - high) * (canvas.layout.height - t - canvas.layout.margin.b);
      stage.scrollTo({ left: x - stage.clientWidth / 2, top: y - stage.clientHeight / 2 });
    }
    light(found);
  });
  // On paper the whole drawing stands on one page.
  window.addEventListener("beforeprint", () => { canvas.style.zoom = Math.min(1, 680 / canvas.offsetWidth, 860 / canvas.offsetHeight); });
  window.addEventListener("afterprint", () => { canvas.style.zoom = ""; });
})();
