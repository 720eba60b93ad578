"use strict";
(() => {
  const figure = document.getElementById("figure-network");
  if (!figure) return;
  const data = JSON.parse(figure.querySelector("script").textContent);
  const stage = figure.querySelector(".stage"), status = figure.querySelector("[role=status]");
  const SVG = "http://www.w3.org/2000/svg", STEP = 190, ROW = 30;
  const make = (tag, given, into) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
    return into ? (into.append(made), made) : made;
  };
  const nodes = data.nodes.map(([name, level, place, output, kept, genes, weight, share, q, called, member], id) =>
    ({ id, name, x: level * STEP, y: place * data.widest * ROW, output, kept, genes, weight, share, q, called, member,
       r: 7 + Math.min(8, Math.sqrt(genes) * 0.8) }));
  const edges = data.edges.map(([p, c, kept, weight]) => ({ p: nodes[p], c: nodes[c], kept, weight }));
  const heaviest = Math.max(1e-12, ...nodes.filter((n) => n.kept && !n.output).map((n) => n.weight ?? 0));
  const strongest = Math.max(1e-12, ...edges.map((e) => e.weight ?? 0));
  const curve = ({ p, c }) => { const m = (p.x + c.x) / 2; return `M${p.x} ${p.y}C${m} ${p.y} ${m} ${c.y} ${c.x} ${c.y}`; };
  const svg = make("svg", { "aria-hidden": "true" });
  stage.append(svg);
  const scene = make("g", {}, svg);
  const layers = { awayEdges: make("g", { class: "away", display: "none" }, scene), edges: make("g", {}, scene),
    lit: make("g", {}, scene), away: make("g", { class: "away", display: "none" }, scene), nodes: make("g", {}, scene) };
  make("path", { class: "edge away-edge", d: edges.filter((e) => !e.kept).map(curve).join("") }, layers.awayEdges);
  for (const e of edges.filter((e) => e.kept))
    make("path", { class: "edge", d: curve(e), "stroke-width": (0.7 + 3 * (e.weight ?? 0) / strongest).toFixed(2) }, layers.edges);
  const ranked = nodes.filter((n) => n.kept && !n.output).sort((a, b) => (b.weight ?? 0) - (a.weight ?? 0));
  ranked.forEach((n, rank) => { n.rank = rank; });
  for (const n of nodes) {
    const group = make("g", { class: `node${n.called ? " called" : ""}${n.kept ? "" : " gone"}`, transform: `translate(${n.x} ${n.y})` },
      n.kept ? layers.nodes : layers.away);
    const full = n.output ? 1 : 0.12 + 0.88 * Math.min(1, (n.weight ?? 0) / heaviest);
    make("circle", { r: n.r, class: "under" }, group);
    if (n.output) make("rect", { x: -9, y: -9, width: 18, height: 18, rx: 2, class: "disc", "fill-opacity": 1 }, group);
    else make("circle", { r: n.r, class: "disc", "fill-opacity": full.toFixed(2) }, group);
    const label = make("text", n.output ? { x: 0, y: -15, "text-anchor": "middle" } : { x: n.r + 4, y: 4 }, group);
    label.textContent = n.name;
    group.dataset.id = n.id;
    n.group = group;
  }
  let view = { x: 0, y: 0, k: 1 }, smallest = 0.1;
  function apply() {
    scene.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.k})`);
    // Labels keep their size on the screen; from afar only the heaviest are named.
    const size = Math.max(11, Math.min(16, 12 * view.k)) / view.k, most = view.k > 0.75 ? Infinity : view.k > 0.45 ? 40 : 12;
    for (const n of nodes) {
      const label = n.group.lastChild, shown = n.output || n === found || view.k * ROW > 13 || (n.kept ? n.rank < most : false);
      label.setAttribute("font-size", size);
      label.style.display = shown ? "" : "none";
    }
  }
  let showsAway = false, found = null;
  function fit() {
    const shown = nodes.filter((n) => n.kept || showsAway), xs = shown.map((n) => n.x), ys = shown.map((n) => n.y);
    const box = stage.getBoundingClientRect(), pad = 46;
    const width = Math.max(...xs) - Math.min(...xs) + 130, height = Math.max(...ys) - Math.min(...ys) + 40;
    view.k = Math.min(1.4, (box.width - pad) / width, (box.height - pad) / height);
    smallest = view.k * 0.6;
    view.x = (box.width - width * view.k) / 2 - Math.min(...xs) * view.k + 16 * view.k;
    view.y = box.height / 2 - (Math.max(...ys) + Math.min(...ys)) / 2 * view.k;
    apply();
  }
  function zoom(factor, cx, cy) {
    const k = Math.max(smallest, Math.min(6, view.k * factor));
    view.x = cx - (cx - view.x) * k / view.k; view.y = cy - (cy - view.y) * k / view.k; view.k = k;
    apply();
  }
  const tip = document.createElement("div");
  tip.className = "tip"; tip.hidden = true; stage.append(tip);
  const IN = { all: "in every optimal DAG", some: "in some optimal DAGs", none: "in no optimal DAG" };
  function tell(n) {
    const lines = [n.output ? "output" : n.kept ? "hidden node" : "pruned away", `${n.genes.toLocaleString("en")} genes directly below`];
    if (n.weight !== null) lines.push(`weight ${n.weight.toPrecision(3)}` + (n.share !== null ? `, ${(100 * n.share).toFixed(1)} % of all` : ""));
    if (n.q !== null) lines.push(`q = ${n.q.toPrecision(2)}${n.called ? ", called" : ""}`);
    if (IN[n.member]) lines.push(IN[n.member]);
    return lines;
  }
  function show(n) {
    tip.replaceChildren();
    const strong = document.createElement("strong");
    strong.textContent = n.name;
    tip.append(strong, ...tell(n).flatMap((line) => [document.createElement("br"), line]));
    tip.hidden = false;
    const box = stage.getBoundingClientRect(), x = view.x + n.x * view.k, y = view.y + n.y * view.k;
    tip.style.left = Math.max(4, Math.min(box.width - tip.offsetWidth - 4, x + 14)) + "px";
    tip.style.top = Math.max(4, Math.min(box.height - tip.offsetHeight - 4, y + 12)) + "px";
    layers.lit.replaceChildren(...edges.filter((e) => (e.p === n || e.c === n) && (e.kept || showsAway))
      .map((e) => make("path", { class: "edge lit", d: curve(e) })));
  }
  const hide = () => { if (!found) { tip.hidden = true; layers.lit.replaceChildren(); } };
  const nodeAt = (event) => { const g = event.target.closest?.("g.node"); return g ? nodes[+g.dataset.id] : null; };
  const pointers = new Map();
  let pinch = 0;
  stage.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event); stage.setPointerCapture?.(event.pointerId);
    const n = nodeAt(event);
    if (n) { found = null; show(n); }
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) { const n = nodeAt(event); n ? show(n) : hide(); return; }
    if (pointers.size === 1) { view.x += event.clientX - before.clientX; view.y += event.clientY - before.clientY; apply(); tip.hidden = true; }
    pointers.set(event.pointerId, event);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()], d = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), box = stage.getBoundingClientRect();
      if (pinch) zoom(d / pinch, (a.clientX + b.clientX) / 2 - box.left, (a.clientY + b.clientY) / 2 - box.top);
      pinch = d;
    }
  });
  for (const kind of ["pointerup", "pointercancel", "pointerleave"])
    stage.addEventListener(kind, (event) => { pointers.delete(event.pointerId); pinch = 0; });
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * 0.01), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  figure.querySelectorAll("button[data-do]").forEach((button) => button.addEventListener("click", () => {
    const box = stage.getBoundingClientRect(), what = button.dataset.do;
    if (what === "fit") { found = null; hide(); fit(); }
    else if (what === "away") toggle(button);
    else zoom(what === "in" ? 1.4 : 1 / 1.4, box.width / 2, box.height / 2);
  }));
  function toggle(button) {
    showsAway = !showsAway;
    button.setAttribute("aria-pressed", showsAway);
    figure.querySelectorAll("g.away").forEach((layer) => layer.setAttribute("display", showsAway ? "" : "none"));
    fit();
  }
  figure.querySelector("input").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    found = wanted ? nodes.find((n) => n.name.toLowerCase() === wanted) ?? nodes.find((n) => n.name.toLowerCase().includes(wanted)) : null;
    figure.querySelectorAll("g.found").forEach((group) => group.classList.remove("found"));
    status.textContent = !wanted ? "" : found ? `${found.name}: ${tell(found).join(", ")}` : "no such node";
    if (!found) { hide(); apply(); return; }
    if (!found.kept && !showsAway) toggle(figure.querySelector("[data-do=away]"));
    const box = stage.getBoundingClientRect();
    view.k = Math.max(view.k, 1); view.x = box.width / 2 - found.x * view.k; view.y = box.height / 2 - found.y * view.k;
    found.group.classList.add("found");
    apply(); show(found);
  });
  new ResizeObserver(() => fit()).observe(stage);
})();
