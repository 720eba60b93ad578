"use strict";
(() => {
  // Plotly reads tags and entities in every text; names are the reader's own.
  const escaped = (name) => name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const counted = (number, word) => number + " " + word + (number === 1 ? "" : "s");
  const MOST_LETTERS = 30; // of the genes that stand below a node's name

  for (const bar of document.querySelectorAll(".search")) {
    const section = bar.closest("section"), input = bar.querySelector("input"), status = bar.querySelector("[role=status]");
    let wanted = "", stops = [], at = -1, parts = null, awaited = null;
    const matches = (name) => name.toLowerCase().includes(wanted);

    // A drawing of called nodes or a table of nodes: whose it is, and the names that it holds.
    function readDrawing(figure) {
      const { searched, nodes } = JSON.parse(figure.querySelector("script").textContent).layout.meta;
      const part = { figure, searched, nodes: nodes.map(({ name, genes }) => ({ name, genes: genes.map((gene) => [gene.slice(0, -2), gene]) })), found: [] };
      figure.addEventListener("kpnn-drawn", () => { mark(part); if (awaited?.part === part) show(awaited); });
      return part;
    }
    const readTable = (figure) => ({ figure, searched: figure.dataset.searched, left: JSON.parse(figure.querySelector("script").textContent) });
    const read = () => [...section.querySelectorAll('figure[id^="figure-called_"], figure[data-searched]')]
      .map((figure) => (figure.dataset.searched === undefined ? readDrawing(figure) : readTable(figure)));

    // The matching rows of a drawing are tinted, the present one framed, and matching genes stand first below their node.
    function mark({ figure, nodes, found }) {
      const canvas = figure.querySelector(".canvas"), style = getComputedStyle(document.documentElement), update = {};
      if (!figure.dataset.drawn || document.documentElement.classList.contains("printing")) return;
      const texts = JSON.parse(figure.querySelector("script").textContent).layout.annotations;
      for (const row of nodes.keys()) {
        const hit = found.find((one) => one.row === row), name = `annotations[${row}]`;
        update[`${name}.bgcolor`] = hit ? style.getPropertyValue("--warn").trim() : "rgba(0,0,0,0)";
        update[`${name}.bordercolor`] = hit && stops[at] === hit ? style.getPropertyValue("--warn-line").trim() : "rgba(0,0,0,0)";
        update[`${name}.text`] = hit?.genes.length ? withGenes(texts[row].text, hit.genes) : texts[row].text;
      }
      Plotly.relayout(canvas, update);
    }
    function withGenes(text, genes) {
      const shown = [];
      for (const gene of genes) if (!shown.length || [...shown, gene].join("  ").length <= MOST_LETTERS) shown.push(gene); else break;
      const more = genes.length > shown.length ? ` +${genes.length - shown.length}` : "";
      return `${text.split("<br>")[0]}<br><span style="font-size:11px"><b>${escaped(shown.join("  "))}</b>${more}</span>`;
    }

    function search() {
      parts ??= read();
      wanted = input.value.trim().toLowerCase(); stops = []; at = -1;
      const nodes = new Set(), genes = new Set(), left = new Set(), drawn = new Map();
      for (const part of parts) if (part.nodes) {
        part.found = [];
        if (wanted) part.nodes.forEach((node, row) => {
          const own = node.genes.filter(([gene]) => matches(gene));
          if (matches(node.name)) nodes.add(node.name);
          own.forEach(([gene]) => genes.add(gene));
          if (matches(node.name) || own.length) part.found.push({ part, row, name: node.name, genes: own.map(([, gene]) => gene) });
        });
        drawn.set(part.searched, new Set(part.found.map(({ name }) => name)));
        stops.push(...part.found);
        mark(part);
      } else {
        const ofDrawing = drawn.get(part.searched);
        for (const row of part.figure.querySelector("tbody").rows) {
          const name = row.cells[0].textContent, isIn = !wanted || matches(name) || !!ofDrawing?.has(name);
          row.classList.toggle("unmatched", !isIn); row.classList.remove("found");
          if (!wanted || !matches(name)) continue;
          nodes.add(name);
          if (!ofDrawing?.has(name)) stops.push({ part, element: row, name, genes: [] });
        }
        if (wanted) part.left.filter(matches).forEach((name) => left.add(name));
      }
      nodes.forEach((name) => left.delete(name));
      const said = [
        nodes.size && counted(nodes.size, "node"),
        genes.size && counted(genes.size, "gene") + " of called nodes",
        left.size && counted(left.size, "node") + " in rows that only the CSV holds",
      ].filter(Boolean);
      status.textContent = !wanted ? "" : said.length ? "Found: " + said.join(", ") : "No node here, and no gene of a called node, has such a name";
    }

    function show(stop) {
      for (let box = stop.part.figure.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
      const label = stop.element ?? stop.part.figure.querySelectorAll(".annotation")[stop.row] ?? stop.part.figure;
      label.scrollIntoView({ block: "center", inline: "nearest" });
      awaited = label === stop.part.figure ? stop : null; // a drawing that is not there yet is drawn when it comes into view
    }
    function step(by) {
      if (!stops.length) return;
      const last = stops[at];
      at = at < 0 ? (by > 0 ? 0 : stops.length - 1) : (at + by + stops.length) % stops.length;
      const stop = stops[at], { name, genes, part } = stop;
      for (const { part: one } of [last, stop].filter(Boolean)) if (one.nodes) mark(one);
      last?.element?.classList.remove("found"); stop.element?.classList.add("found");
      const some = genes.length > 3 ? `${genes.slice(0, 3).join(", ")} and ${genes.length - 3} more` : genes.join(", ");
      status.textContent = `${at + 1} of ${stops.length}: ${name}${some ? ` reads ${some}` : ""} (${part.searched})`;
      show(stop);
    }
    input.addEventListener("input", search);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); step(event.shiftKey ? -1 : 1); }
      if (event.key === "Escape") { event.preventDefault(); input.value = ""; search(); }
    });
    bar.hidden = false;
  }
})();
