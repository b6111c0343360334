// From the graph's data to a drawing, without a browser: what is in sight, the text that Graphviz lays out, and SVG.
//
// The page runs this with Graphviz compiled to WebAssembly; `Graph.to_svg` runs the same text in a small JavaScript
// engine with Graphviz as a program. One unit is a pixel of the page and a point of Graphviz.
"use strict";

const Scene = (() => {
  const MONO = 0.6; // the width of a monospaced character, in em
  const TITLE = 13, SMALL = 11, ROW = 15, PAD = 10;

  // --- text ----------------------------------------------------------------------------------------------------------

  const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  // Control characters have no place in XML; they are shown as the sign for what can't be shown.
  const escape = (text) =>
    String(text).replace(/[&<>"']/g, (c) => escapes[c]).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd");
  const isWide = (c) => c >= 0x1100 && (c <= 0x115f || (c >= 0x2e80 && c <= 0xffdc) || c >= 0x1f300);
  const columns = (text) => { let n = 0; for (const c of text) n += isWide(c.codePointAt(0)) ? 2 : 1; return n; };
  const width = (text, size) => columns(text) * MONO * size;
  const elide = (text, most) => {
    const letters = [...text];
    if (letters.length <= most) return text;
    const head = Math.ceil(most * 0.6) - 1;
    return letters.slice(0, head).join("") + "…" + letters.slice(letters.length - (most - head - 1)).join("");
  };
  const shapeText = (shape) => (shape === undefined ? "" : shape.length ? shape.join(" × ") : "scalar");
  const fileName = (path) => path.split(/[\\/]/).pop();
  const place = (line) => (line ? `${fileName(line.file)}:${line.line}` : "");
  const number = (x) => {
    if (typeof x === "string") return x;
    if (x === 0) return "0";
    const size = Math.abs(x);
    return size >= 1e4 || size < 1e-3 ? x.toExponential(1).replace("e+", "e") : String(Number(x.toPrecision(3)));
  };
  const bytes = (n) => {
    for (const unit of ["B", "KiB", "MiB"]) {
      if (n < 1024) return `${unit === "B" || n >= 100 ? Math.round(n) : n.toFixed(1)} ${unit}`;
      n /= 1024;
    }
    return `${n.toFixed(1)} GiB`;
  };
  const counted = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many || one + "s"}`;

  // --- the data, indexed -----------------------------------------------------------------------------------------------

  // A parameter is shown as a row in the box of each operation that uses it: edges from it to all of them would cross
  // the whole drawing. So is any other leaf that very many use.
  const MANY_USES = 8;
  function prepare(data) {
    const nodes = data.nodes, groups = data.groups;
    const out = nodes.map(() => []), into = nodes.map(() => []);
    for (const edge of data.edges) { out[edge.from].push(edge); into[edge.to].push(edge); }
    const cut = new Set();
    for (const c of data.cuts) { cut.add(c.from); if (c.to !== undefined) cut.add(c.to); }
    const attached = new Map(), rows = nodes.map(() => []);
    for (const node of nodes) {
      const uses = out[node.id];
      const leaf = node.kind === "parameter" || (node.kind === "leaf" && uses.length > MANY_USES);
      if (leaf && uses.length && !cut.has(node.id) && uses.every((e) => nodes[e.to].kind === "operation" || nodes[e.to].kind === "gone")) {
        attached.set(node.id, uses[0].to);
        for (const edge of uses) if (!rows[edge.to].includes(node.id)) rows[edge.to].push(node.id);
      }
    }
    const paths = groups.map(() => "");
    const children = groups.map(() => ({ groups: [], nodes: [] })), top = { groups: [], nodes: [] };
    for (const group of groups) { // outer before inner
      paths[group.id] = group.path || (group.parent === undefined ? "" : paths[group.parent]);
      (group.parent === undefined ? top : children[group.parent]).groups.push(group.id);
    }
    const files = new Set(nodes.map((n) => n.line && n.line.file).filter(Boolean));
    for (const node of nodes) (node.group === undefined ? top : children[node.group]).nodes.push(node.id);
    return { data, nodes, groups, edges: data.edges, cuts: data.cuts, out, into, attached, rows, paths, children, top, oneFile: files.size === 1 };
  }

  const openAtFirst = (model) => new Set(model.groups.filter((g) => g.open).map((g) => g.id));

  // --- what is in sight ------------------------------------------------------------------------------------------------

  function visible(model, open) {
    const { nodes, groups } = model;
    const closed = []; // for each group the outermost closed one at or above it, or -1
    for (const group of groups) {
      const above = group.parent === undefined ? -1 : closed[group.parent];
      closed.push(above >= 0 ? above : open.has(group.id) ? -1 : group.id);
    }
    const home = (id) => nodes[model.attached.get(id) ?? id];
    const things = new Map(), keys = [];
    for (const node of nodes) {
      const stands = home(node.id);
      const fold = stands.group === undefined ? -1 : closed[stands.group];
      const key = fold >= 0 ? `g${fold}` : `n${stands.id}`;
      keys.push(key);
      let thing = things.get(key);
      if (thing === undefined) {
        thing = fold >= 0 ? groupBox(model, fold) : nodeBox(model, stands);
        thing.key = key;
        thing.inside = fold >= 0 ? groups[fold].parent : stands.group;
        things.set(key, thing);
      }
      if (fold >= 0) {
        thing.reached = thing.reached || node.reached !== false;
        thing.isRoot = thing.isRoot || Boolean(node.root);
      }
    }
    const edges = new Map();
    for (const edge of model.edges) {
      if (model.attached.has(edge.from)) continue;
      const from = keys[edge.from], to = keys[edge.to];
      if (from === to) continue;
      const key = `${from}>${to}`;
      const known = edges.get(key);
      if (known) known.count += 1;
      else edges.set(key, { key, from, to, count: 1, dim: nodes[edge.from].reached === false && nodes[edge.to].reached === false });
    }
    const cuts = [];
    model.cuts.forEach((cut, i) => {
      if (cut.to === undefined) return;
      const from = keys[cut.from], to = keys[cut.to];
      if (from === to && from[0] === "g") things.get(from).cuts += 1;
      else cuts.push(cutLabel(cut, `c${i}`, i, from, to));
    });
    const clusters = groups.filter((g) => closed[g.id] === -1).map((g) => clusterLabel(model, g));
    return { things: [...things.values()], edges: [...edges.values()], cuts, clusters, keys };
  }

  const gradientText = (gradient) =>
    !gradient ? "" : gradient.nonfinite ? "∇ not finite" : `∇ ${number(gradient.norm)}`;
  const gradientKind = (gradient) => (!gradient ? "" : gradient.nonfinite ? "bad" : gradient.norm === 0 ? "zero" : "");

  function nodeBox(model, node) {
    const path = node.group === undefined ? "" : model.paths[node.group];
    const module = node.module || "";
    const rest = module === path ? "" : path && module.startsWith(path + ".") ? module.slice(path.length + 1) : module;
    const kind = (model.data.classes || {})[module];
    const caption = (node.kind === "operation" || node.kind === "gone") && rest ? elide(kind ? `${rest} · ${kind}` : rest, 36) : "";
    const title = elide(node.title, 32);
    const at = model.oneFile && node.line ? `:${node.line.line}` : place(node.line); // the file is named once, in the panel
    const shape = [shapeText(node.shape), node.dtype && node.dtype !== "float32" ? node.dtype : ""].filter(Boolean).join("  ");
    const gradient = gradientText(node.gradient);
    const rows = model.rows[node.id].map((id) => {
      const owner = model.nodes[id], full = owner.title;
      const name = owner.module && owner.module === module ? full.slice(module.length + 1) : full;
      return { id, name: elide(model.out[id].length > 1 ? `${name} (${model.out[id].length} uses)` : name, 30), shape: shapeText(owner.shape), gradient: gradientText(owner.gradient), bad: gradientKind(owner.gradient) };
    });
    const gap = 18;
    let w = Math.max(
      width(title, TITLE) + (at ? gap + width(elide(at, 26), SMALL) : 0),
      width(shape, SMALL) + (gradient ? gap + width(gradient, SMALL) : 0),
      width(caption, SMALL),
      node.root ? width(node.root, SMALL) + 20 : 0,
      56,
    );
    for (const row of rows) {
      w = Math.max(w, width(row.name, SMALL) + gap + width(row.shape, SMALL) + (row.gradient ? gap + width(row.gradient, SMALL) : 0));
    }
    const h = 8 + (caption ? ROW - 1 : 0) + 17 + (shape || gradient ? ROW : 0) + (rows.length ? 7 + rows.length * ROW : 0) + 6;
    return {
      kind: node.kind, node: node.id, title, at: elide(at, 26), shape, caption, rows, gradient, bad: gradientKind(node.gradient),
      root: node.root || "", reached: node.reached !== false, w: Math.ceil(w + 2 * PAD), h, cuts: 0,
    };
  }

  function groupBox(model, id) {
    const group = model.groups[id];
    const title = elide(group.name || "stretch", 34), detail = elide(group.detail || "", 40);
    const size = counted(group.size, "operation");
    const w = Math.max(width(title, TITLE) + 16, width(detail, SMALL), width(size, SMALL) + 60, 90);
    return {
      kind: "group", group: id, title, detail, size, reached: false, isRoot: false, cuts: 0,
      w: Math.ceil(w + 2 * PAD), h: 8 + 17 + ROW + (detail ? ROW : 0) + 6,
    };
  }

  function clusterLabel(model, group) {
    const title = elide(group.name || "stretch", 40), detail = elide(group.detail || "", 48);
    return { id: group.id, title, detail, parent: group.parent, w: Math.ceil(width(title, 12) + width(detail, SMALL) + 44) };
  }

  function cutLabel(cut, key, index, from, to) {
    const text = `✂ ${cut.kind}`, at = place(cut.line);
    const w = Math.ceil(Math.max(width(text, 12) + 6, width(at, SMALL)) + 18);
    return { key, index, from, to, text: elide(text, 40), at: elide(at, 36), w, h: at ? 34 : 22 };
  }

  // --- for Graphviz ----------------------------------------------------------------------------------------------------

  const sized = (w, h) => `<<table border="0" fixedsize="true" width="${w}" height="${h}"><tr><td></td></tr></table>>`;

  // `effort` 0 is the full layout; 1 saves on crossings and curves, 2 does without clusters as well.
  function toDot(view, effort = 0) {
    const many = view.things.length > 800;
    const lines = [
      "digraph{graph[rankdir=TB,ranksep=0.36,nodesep=0.26,splines=" + (effort ? "line" : "true") +
        (many || effort ? ",nslimit=1,nslimit1=1,mclimit=0.2" : "") + "]",
      'node[shape=box,fixedsize=true,label=""]edge[arrowhead=none]',
    ];
    const inside = new Map(), below = new Map();
    const enter = (map, key, value) => (map.has(key) ? map.get(key).push(value) : map.set(key, [value]));
    for (const thing of view.things) {
      enter(inside, effort < 2 ? thing.inside : undefined,
        `${thing.key}[width=${(thing.w / 72).toFixed(4)},height=${(thing.h / 72).toFixed(4)}]`);
    }
    for (const cluster of view.clusters) enter(below, cluster.parent, cluster);
    const write = [["inside", undefined, null]];
    while (write.length) {
      const [what, group, cluster] = write.pop();
      if (what === "close") { lines.push("}"); continue; }
      if (cluster) {
        lines.push(`subgraph cluster_${group}{graph[margin=12,labeljust=l,label=${sized(cluster.w, 15)}]`);
        write.push(["close"]);
      }
      lines.push(...(inside.get(group) || []));
      if (effort < 2) for (const c of (below.get(group) || []).slice().reverse()) write.push(["inside", c.id, c]);
    }
    for (const edge of view.edges) lines.push(`${edge.from}->${edge.to}[id="${edge.key}",weight=${Math.min(edge.count, 4)}]`);
    for (const cut of view.cuts) lines.push(`${cut.from}->${cut.to}[id="${cut.key}",label=${sized(cut.w + 8, cut.h + 6)}]`);
    lines.push("}");
    return lines.join("\n");
  }

  // --- geometry --------------------------------------------------------------------------------------------------------

  const pair = (text) => text.split(",").map(Number);

  // Put what Graphviz found (its "json0" form) into the view: x, y of each thing's centre, boxes, curves. y points down.
  function put(view, layout) {
    const [x0, y0, x1, y1] = layout.bb.split(",").map(Number);
    const flip = ([x, y]) => [x - x0, y1 - y];
    const things = new Map(view.things.map((t) => [t.key, t])), clusters = new Map(view.clusters.map((c) => [c.id, c]));
    for (const object of layout.objects || []) {
      const cluster = /^cluster_(\d+)$/.exec(object.name);
      if (cluster && object.bb) {
        const [left, bottom, right, top] = object.bb.split(",").map(Number);
        const [x, y] = flip([left, top]);
        Object.assign(clusters.get(Number(cluster[1])), { x, y, width: right - left, height: top - bottom });
      } else if (object.pos && things.has(object.name)) {
        const [x, y] = flip(pair(object.pos));
        Object.assign(things.get(object.name), { x, y });
      }
    }
    const curves = new Map();
    for (const edge of layout.edges || []) if (edge.pos) curves.set(edge.id, edge);
    const curved = (edge) => {
      const found = curves.get(edge.key);
      edge.points = found
        ? found.pos.split(" ").filter((p) => p[0] !== "e" && p[0] !== "s").map((p) => flip(pair(p)))
        : straight(things.get(edge.from), things.get(edge.to));
      if (found && found.lp) [edge.x, edge.y] = flip(pair(found.lp));
      else { const middle = edge.points[edge.points.length >> 1]; [edge.x, edge.y] = middle; }
      edge.path = pathOf(edge.points);
      const xs = edge.points.map((p) => p[0]), ys = edge.points.map((p) => p[1]);
      edge.box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
    };
    view.edges.forEach(curved);
    view.cuts.forEach(curved);
    view.clusters = view.clusters.filter((c) => c.x !== undefined);
    view.width = x1 - x0;
    view.height = y1 - y0;
    return view;
  }

  const straight = (a, b) => {
    const from = [a.x, a.y + a.h / 2], to = [b.x, b.y - b.h / 2];
    return [from, from, to, to];
  };
  const r = (x) => Math.round(x * 10) / 10;
  function pathOf(points) {
    let path = `M${r(points[0][0])} ${r(points[0][1])}`;
    for (let i = 1; i + 2 < points.length; i += 3) {
      path += `C${points.slice(i, i + 3).map((p) => `${r(p[0])} ${r(p[1])}`).join(" ")}`;
    }
    return path;
  }
  // An arrowhead at the end of a curve, as a closed path.
  function headOf(points, size) {
    const [x, y] = points[points.length - 1];
    let [px, py] = points[points.length - 2];
    for (let i = points.length - 3; i >= 0 && Math.hypot(x - px, y - py) < 0.5; i--) [px, py] = points[i];
    const length = Math.hypot(x - px, y - py) || 1, ux = (x - px) / length, uy = (y - py) / length;
    const bx = x - ux * size, by = y - uy * size, half = size * 0.42;
    return `M${r(x)} ${r(y)}L${r(bx - uy * half)} ${r(by + ux * half)}L${r(bx + uy * half)} ${r(by - ux * half)}Z`;
  }

  // --- drawing -----------------------------------------------------------------------------------------------------------

  const text = (x, y, kind, content, end) =>
    `<text x="${r(x)}" y="${r(y)}" class="${kind}"${end ? ' text-anchor="end"' : ""}>${escape(content)}</text>`;

  function drawThing(thing) {
    const left = thing.x - thing.w / 2, top = thing.y - thing.h / 2, right = left + thing.w;
    return thing.kind === "group" ? drawGroup(thing, left, top, right) : drawNode(thing, left, top, right);
  }

  function drawNode(t, left, top, right) {
    const round = t.kind === "operation" || t.kind === "gone" ? 4 : Math.min(t.h / 2, 15);
    const kinds = ["thing", t.kind, t.reached ? "" : "beyond", t.root ? "root" : ""].filter(Boolean).join(" ");
    const parts = [`<g class="${kinds}" data-key="${t.key}"><rect class="box" x="${r(left)}" y="${r(top)}" width="${t.w}" height="${t.h}" rx="${round}"/>`];
    let y = top + 8;
    if (t.caption) { parts.push(text(left + PAD, y + 9, "caption", t.caption)); y += ROW - 1; }
    parts.push(text(left + PAD, y + 12, "title", t.title));
    if (t.at) parts.push(text(right - PAD, y + 12, "at", t.at, true));
    y += 17;
    if (t.shape || t.gradient) {
      parts.push(text(left + PAD, y + 10.5, "shape", t.shape));
      if (t.gradient) parts.push(text(right - PAD, y + 10.5, `gradient ${t.bad}`, t.gradient, true));
      y += ROW;
    }
    if (t.rows.length) {
      const from = y + 4, height = top + t.h - from;
      parts.push(`<path class="rows" d="M${r(left)} ${r(from)}H${r(right)}V${r(from + height - 4)}a4 4 0 0 1-4 4H${r(left + 4)}a4 4 0 0 1-4-4Z"/>`);
      y += 6;
      for (const row of t.rows) {
        parts.push(text(left + PAD, y + 10.5, "name", row.name));
        if (row.gradient) {
          parts.push(text(left + PAD + width(row.name, SMALL) + 12, y + 10.5, "shape", row.shape));
          parts.push(text(right - PAD, y + 10.5, `gradient ${row.bad}`, row.gradient, true));
        } else parts.push(text(right - PAD, y + 10.5, "shape", row.shape, true));
        y += ROW;
      }
    }
    if (t.root) {
      const w = width(t.root, SMALL) + 14;
      parts.push(`<rect class="flag" x="${r(right - w - 8)}" y="${r(top + t.h - 7)}" width="${r(w)}" height="16" rx="8"/>`);
      parts.push(text(right - w - 1, top + t.h + 4.5, "flagged", t.root));
    }
    parts.push("</g>");
    return parts.join("");
  }

  function drawGroup(t, left, top, right) {
    const kinds = ["thing", "group", t.reached ? "" : "beyond", t.isRoot ? "root" : ""].filter(Boolean).join(" ");
    const box = (dx, kind) => `<rect class="${kind}" x="${r(left + dx)}" y="${r(top + dx)}" width="${t.w}" height="${t.h}" rx="6"/>`;
    let y = top + 8;
    const parts = [`<g class="${kinds}" data-key="${t.key}">`, box(4, "behind"), box(0, "box")];
    parts.push(`<path class="chevron" d="M${r(left + PAD + 1)} ${r(y + 3.5)}l4.5 4.5l-4.5 4.5"/>`, text(left + PAD + 13, y + 12, "title", t.title));
    y += 17;
    if (t.detail) { parts.push(text(left + PAD, y + 10.5, "caption", t.detail)); y += ROW; }
    parts.push(text(left + PAD, y + 10.5, "shape", t.size));
    if (t.cuts) parts.push(text(right - PAD, y + 10.5, "cuts", `✂ ${t.cuts}`, true));
    parts.push("</g>");
    return parts.join("");
  }

  function drawCluster(c) {
    const depth = c.depth || 0;
    return `<g class="cluster" data-group="${c.id}"><rect class="frame${depth % 2 ? " odd" : ""}" x="${r(c.x)}" y="${r(c.y)}" width="${r(c.width)}" height="${r(c.height)}" rx="8"/>` +
      `<g class="handle" data-group="${c.id}"><rect class="grip" x="${r(c.x + 4)}" y="${r(c.y + 3)}" width="${r(Math.min(c.w + 4, c.width - 8))}" height="20" rx="5"/>` +
      `<path class="chevron" d="M${r(c.x + 11)} ${r(c.y + 11)}l4.5 4.5l4.5-4.5"/>` +
      text(c.x + 25, c.y + 17, "label", c.title) +
      (c.detail ? text(c.x + 25 + width(c.title, 12) + 8, c.y + 17, "caption", c.detail) : "") + "</g></g>";
  }

  const drawEdge = (e) =>
    `<g class="edge${e.dim ? " beyond" : ""}" data-ends="${e.from} ${e.to}"><path d="${e.path}"${e.count > 1 ? ` style="stroke-width:${r(1.1 + Math.min(Math.log2(e.count) * 0.45, 3))}"` : ""}/>` +
    `<path class="head" d="${headOf(e.points, 6.5)}"/></g>`;

  function drawCut(c) {
    const left = c.x - c.w / 2, top = c.y - c.h / 2;
    return `<g class="cut" data-cut="${c.index}"><path class="line" d="${c.path}"/><path class="head" d="${headOf(c.points, 8)}"/>` +
      `<rect class="tag" x="${r(left)}" y="${r(top)}" width="${c.w}" height="${c.h}" rx="5"/>` +
      text(left + 9, top + 15, "kind", c.text) + (c.at ? text(left + 9, top + 28, "at", c.at) : "") + "</g>";
  }

  function depths(view) {
    const depth = new Map();
    for (const c of view.clusters) {
      c.depth = c.parent !== undefined && depth.has(c.parent) ? depth.get(c.parent) + 1 : 0;
      depth.set(c.id, c.depth);
    }
    return view;
  }

  // The whole drawing as one SVG document with its own style.
  function svg(view, style, title) {
    const margin = 24, w = Math.ceil(view.width + 2 * margin), h = Math.ceil(view.height + 2 * margin);
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" role="img" class="drawing">`,
      `<title>${escape(title)}</title><style>${style}</style><rect class="paper" width="${w}" height="${h}"/>`,
      `<g transform="translate(${margin} ${margin})">`,
      ...view.clusters.map(drawCluster), ...view.edges.map(drawEdge), ...view.cuts.map(drawCut), ...view.things.map(drawThing),
      "</g></svg>\n",
    ].join("\n");
  }

  return {
    prepare, openAtFirst, visible, toDot, put, depths, svg, drawThing, drawCluster, drawEdge, drawCut,
    escape, shapeText, place, number, bytes, counted, width, fileName, gradientText,
  };
})();
