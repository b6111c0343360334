// The page: pan, zoom, fold, search, select; what is known of the selected thing, in words.
"use strict";

(() => {
  const $ = (id) => document.getElementById(id);
  const { escape, shapeText, place, number, bytes, counted } = Scene;
  const data = JSON.parse($("graph").textContent);
  const model = Scene.prepare(data);
  const { nodes, groups } = model;
  const stage = $("stage"), world = $("world"), panel = $("panel"), svg = stage.querySelector("svg.drawing");

  const state = { open: Scene.openAtFirst(model), view: null, selected: null, x: 0, y: 0, scale: 1, drawn: null, far: false };

  // --- Graphviz ---------------------------------------------------------------------------------------------------------

  // It runs in a worker, so that the page answers while it thinks, and can be stopped when it thinks too long.
  const WORK = `Viz.instance().then((viz) => {
    onmessage = (e) => {
      try { postMessage(viz.render(e.data, { format: "json0" })); }
      catch (error) { postMessage({ status: "failure", errors: [{ message: String(error) }] }); }
    };
    postMessage("ready");
  });`;

  async function unpacked() {
    const packed = Uint8Array.from(atob($("graphviz").textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }
  const program = unpacked();

  async function newWorker() {
    const worker = new Worker(URL.createObjectURL(new Blob([await program, WORK], { type: "text/javascript" })));
    return new Promise((ready, fail) => { worker.onmessage = () => ready(worker); worker.onerror = fail; });
  }
  async function inThisThread() {
    const script = document.createElement("script");
    script.textContent = await program;
    document.head.append(script);
    const viz = await Viz.instance();
    return { postMessage(dot) { this.onmessage({ data: viz.render(dot, { format: "json0" }) }); }, terminate() {} };
  }
  const anew = () => newWorker().catch(inThisThread);
  let worker = anew();

  async function render(dot, milliseconds) {
    const at = await worker;
    return new Promise((done) => {
      const late = setTimeout(() => { at.terminate(); worker = anew(); done(null); }, milliseconds);
      at.onmessage = ({ data: answer }) => { clearTimeout(late); done(answer.status === "success" ? JSON.parse(answer.output) : null); };
      at.postMessage(dot);
    });
  }

  // Very many boxes are laid out without their frames; a drawing that is too difficult or takes too long, with less effort.
  const WITHOUT_FRAMES = 1500, PATIENCE = [6000, 6000, 15000];

  async function layOut(view) {
    for (let effort = view.things.length > WITHOUT_FRAMES ? 2 : view.things.length > 400 ? 1 : 0; effort < 3; effort++) {
      const layout = await render(Scene.toDot(view, effort), PATIENCE[effort]);
      if (layout) return Scene.depths(Scene.put(view, layout));
    }
    throw new Error("This is too much to lay out at once. Unfold parts of it.");
  }

  // --- drawing ------------------------------------------------------------------------------------------------------------

  // What lies at the edge of sight is drawn when it comes near, and from far away boxes are drawn without their text.
  const FAR = 0.3, MANY = 350, MARGIN = 400;

  let turn = Promise.resolve(), lastOpen = new Set();
  const redraw = (keep) => (turn = turn.then(() => redrawNow(keep)));

  async function redrawNow(keep) {
    $("wait").textContent = "laying out…";
    $("wait").hidden = false;
    const anchor = keep && state.view ? screenOf(keep) : null;
    let view;
    try { view = await layOut(Scene.visible(model, state.open)); } catch (error) {
      $("wait").textContent = error.message;
      setTimeout(() => { $("wait").hidden = true; }, 4000);
      state.open = new Set(lastOpen);
      return;
    }
    lastOpen = new Set(state.open);
    state.view = view;
    view.byKey = new Map(view.things.map((t) => [t.key, t]));
    for (const t of view.things) t.box = [t.x - t.w / 2, t.y - t.h / 2, t.x + t.w / 2, t.y + t.h / 2];
    view.distant = null;
    state.drawn = null;
    $("wait").hidden = true;
    if (anchor) holdStill(keep, anchor); else fit();
    draw(true);
  }

  const boxOf = (what) => {
    if (!state.view) return null;
    if (what.cut !== undefined) return state.view.cuts.find((c) => c.index === what.cut)?.box;
    if (what.group !== undefined) {
      const cluster = state.view.clusters.find((c) => c.id === what.group);
      if (cluster) return [cluster.x, cluster.y, cluster.x + cluster.width, cluster.y + 24];
      return state.view.byKey.get(`g${what.group}`)?.box;
    }
    return state.view.byKey.get(state.view.keys[what.node])?.box;
  };
  function screenOf(what) {
    const box = boxOf(what);
    return box && [state.x + state.scale * (box[0] + box[2]) / 2, state.y + state.scale * box[1]];
  }
  function holdStill(what, [x, y]) {
    const box = boxOf(what);
    if (!box) return fit();
    state.x = x - state.scale * (box[0] + box[2]) / 2;
    state.y = y - state.scale * box[1];
    keepInSight();
  }
  function keepInSight() {
    const { width, height } = stage.getBoundingClientRect();
    const v = state.view, w = v.width * state.scale, h = v.height * state.scale;
    if (w < width) state.x = Math.min(Math.max(state.x, 16), Math.max(16, width - w - 16));
    if (h < height) state.y = Math.min(Math.max(state.y, 16), Math.max(16, height - h - 16));
  }

  function draw(anew) {
    const view = state.view;
    if (!view) return;
    world.setAttribute("transform", `translate(${state.x} ${state.y}) scale(${state.scale})`);
    const { width, height } = stage.getBoundingClientRect();
    const sight = [-state.x / state.scale, -state.y / state.scale, (width - state.x) / state.scale, (height - state.y) / state.scale];
    const far = state.scale < FAR && view.things.length > MANY;
    const known = state.drawn;
    if (!anew && far && state.far) return;
    if (!anew && !far && !state.far && known && known[0] <= sight[0] && known[1] <= sight[1] && known[2] >= sight[2] && known[3] >= sight[3]) return;
    state.far = far;
    if (far) { world.innerHTML = distant(view); return; }
    const m = MARGIN / Math.max(state.scale, 0.3);
    const [l, t, r, b] = state.drawn = [sight[0] - m, sight[1] - m, sight[2] + m, sight[3] + m];
    const near = (box) => box[2] >= l && box[0] <= r && box[3] >= t && box[1] <= b;
    world.innerHTML = [
      ...view.clusters.filter((c) => near([c.x, c.y, c.x + c.width, c.y + c.height])).map(Scene.drawCluster),
      ...view.edges.filter((e) => near(e.box)).map(Scene.drawEdge),
      ...view.cuts.filter((c) => near(c.box)).map(Scene.drawCut),
      ...view.things.filter((t) => near(t.box)).map(Scene.drawThing),
    ].join("");
    mark();
  }

  function distant(view) {
    if (view.distant) return view.distant;
    const boxes = { operation: [], parameter: [], group: [] };
    for (const t of view.things) {
      const kind = t.kind === "group" ? "group" : t.kind === "parameter" || t.kind === "leaf" ? "parameter" : "operation";
      boxes[kind].push(`M${Math.round(t.box[0])} ${Math.round(t.box[1])}h${Math.round(t.w)}v${Math.round(t.h)}h${-Math.round(t.w)}z`);
    }
    view.distant = view.clusters.map((c) => `<rect class="frame${c.depth % 2 ? " odd" : ""}" x="${c.x}" y="${c.y}" width="${c.width}" height="${c.height}" rx="8"/>`).join("") +
      `<path class="far edges" d="${view.edges.map((e) => e.path).join("")}"/>` +
      Object.entries(boxes).map(([kind, paths]) => `<path class="far ${kind}" d="${paths.join("")}"/>`).join("") +
      `<path class="far cutting" d="${view.cuts.map((c) => c.path).join("")}"/>`;
    return view.distant;
  }

  function mark() {
    for (const element of world.querySelectorAll(".selected, .near")) element.classList.remove("selected", "near");
    const s = state.selected;
    if (!s || !state.view) return;
    if (s.cut !== undefined) { world.querySelector(`[data-cut="${s.cut}"]`)?.classList.add("selected"); return; }
    const key = s.group !== undefined ? `g${s.group}` : state.view.keys[s.node];
    world.querySelector(`[data-key="${key}"]`)?.classList.add("selected");
    for (const edge of world.querySelectorAll(".edge")) {
      if (edge.dataset.ends.split(" ").includes(key)) edge.classList.add("near");
    }
  }

  // --- moving -------------------------------------------------------------------------------------------------------------

  const LEAST = 0.005, MOST = 4;
  let pending = 0;
  const move = () => { pending ||= requestAnimationFrame(() => { pending = 0; draw(); }); };

  function zoomAt(factor, x, y) {
    const { width, height } = stage.getBoundingClientRect();
    x ??= width / 2; y ??= height / 2;
    const scale = Math.min(Math.max(state.scale * factor, LEAST), MOST);
    state.x = x - (x - state.x) * scale / state.scale;
    state.y = y - (y - state.y) * scale / state.scale;
    state.scale = scale;
    move();
  }

  // All of it where its text stays legible; else the roots, at a size that can be read.
  function fit() {
    const v = state.view, { width, height } = stage.getBoundingClientRect();
    const whole = Math.min((width - 48) / v.width, (height - 48 - legendHeight()) / v.height);
    state.scale = Math.min(Math.max(whole, LEAST), 1.25);
    state.x = (width - v.width * state.scale) / 2;
    state.y = Math.max((height - legendHeight() - v.height * state.scale) / 2, 24);
    move();
  }
  const legendHeight = () => { const l = $("legend"); return l.offsetParent ? l.offsetHeight + 12 : 0; };
  function readable() {
    fit();
    if (state.scale >= 0.55) return;
    const { width, height } = stage.getBoundingClientRect(), v = state.view;
    state.scale = Math.min(0.9, Math.max((width - 48) / v.width, 0.6));
    const root = v.byKey.get(v.keys[data.roots[0]]);
    state.x = width / 2 - root.x * state.scale;
    state.y = height - legendHeight() - 70 - root.y * state.scale;
    if (v.width * state.scale <= width - 32) state.x = (width - v.width * state.scale) / 2;
    move();
  }

  function centre(what) {
    const box = boxOf(what);
    if (!box) return;
    const { width, height } = stage.getBoundingClientRect();
    if (state.scale < 0.6) state.scale = 0.9;
    state.x = width / 2 - state.scale * (box[0] + box[2]) / 2;
    state.y = (height - legendHeight()) / 2 - state.scale * (box[1] + box[3]) / 2;
    move();
  }
  function inSight(what) {
    const box = boxOf(what), { width, height } = stage.getBoundingClientRect();
    return box && state.scale >= 0.45 && state.x + box[0] * state.scale > 8 && state.x + box[2] * state.scale < width - 8 &&
      state.y + box[1] * state.scale > 8 && state.y + box[3] * state.scale < height - legendHeight() - 8;
  }

  const pointers = new Map();
  let moved = 0;
  stage.addEventListener("pointerdown", (e) => {
    if (e.button || e.target.closest("#legend, #zoom")) return;
    pointers.set(e.pointerId, [e.clientX, e.clientY]);
    moved = 0;
  });
  addEventListener("pointermove", (e) => {
    const before = pointers.get(e.pointerId);
    if (!before) return;
    const dx = e.clientX - before[0], dy = e.clientY - before[1];
    moved += Math.abs(dx) + Math.abs(dy);
    if (moved > 4) stage.classList.add("dragging");
    if (pointers.size === 1) { state.x += dx; state.y += dy; }
    else {
      const other = [...pointers].find(([id]) => id !== e.pointerId)[1], { left, top } = stage.getBoundingClientRect();
      const was = Math.hypot(before[0] - other[0], before[1] - other[1]), is = Math.hypot(e.clientX - other[0], e.clientY - other[1]);
      zoomAt(is / (was || 1), (e.clientX + other[0]) / 2 - left, (e.clientY + other[1]) / 2 - top);
      state.x += dx / 2; state.y += dy / 2;
    }
    pointers.set(e.pointerId, [e.clientX, e.clientY]);
    move();
  });
  const release = (e) => { pointers.delete(e.pointerId); stage.classList.remove("dragging"); };
  addEventListener("pointerup", release);
  addEventListener("pointercancel", release);
  stage.addEventListener("wheel", (e) => {
    e.preventDefault();
    const { left, top } = stage.getBoundingClientRect(), step = e.deltaMode === 1 ? 16 : 1;
    if (e.ctrlKey || e.metaKey || !e.shiftKey && e.deltaX === 0) zoomAt(Math.exp(-e.deltaY * step * (e.ctrlKey ? 0.01 : 0.0016)), e.clientX - left, e.clientY - top);
    else { state.x -= e.deltaX * step + (e.shiftKey ? e.deltaY * step : 0); state.y -= e.shiftKey ? 0 : e.deltaY * step; move(); }
  }, { passive: false });
  addEventListener("resize", () => draw(true));

  // --- folding --------------------------------------------------------------------------------------------------------------

  function toggle(id) {
    const anchor = { group: id };
    if (state.open.has(id)) state.open.delete(id); else state.open.add(id);
    if (state.selected?.node !== undefined && !state.open.has(id)) state.selected = { group: id };
    return redraw(anchor).then(() => { select({ group: id }, true); say(`${groups[id].name} ${state.open.has(id) ? "unfolded" : "folded"}`); });
  }
  async function openAll() { state.open = new Set(groups.map((g) => g.id)); await redraw(); readable(); say("everything unfolded"); }
  async function closeAll() { state.open = new Set(); await redraw(); readable(); say("everything folded"); }

  // Unfold whatever stands around a node, and show it.
  async function reveal(what) {
    let group = what.node !== undefined ? nodes[model.attached.get(what.node) ?? what.node].group : what.group !== undefined ? groups[what.group].parent : undefined;
    let hidden = false;
    if (what.cut !== undefined) {
      for (const end of [data.cuts[what.cut].from, data.cuts[what.cut].to]) {
        for (let g = nodes[end].group; g !== undefined; g = groups[g].parent) if (!state.open.has(g)) { state.open.add(g); hidden = true; }
      }
    }
    for (; group !== undefined; group = groups[group].parent) if (!state.open.has(group)) { state.open.add(group); hidden = true; }
    if (hidden) await redraw({ ...what });
    select(what);
    if (!inSight(what)) centre(what);
  }

  // --- selecting ------------------------------------------------------------------------------------------------------------

  function select(what, quiet) {
    state.selected = what;
    mark();
    panel.innerHTML = what ? (what.cut !== undefined ? aboutCut(what.cut) : what.group !== undefined ? aboutGroup(what.group) : aboutNode(what.node)) : overview();
    panel.scrollTop = 0;
    if (what && !quiet) say(panel.innerText.split("\n").slice(0, 3).join(", "));
  }
  const say = (words) => { $("said").textContent = words; };

  stage.addEventListener("click", (e) => {
    if (moved > 4 || e.target.closest("#legend, #zoom")) return;
    const handle = e.target.closest(".handle"), cut = e.target.closest(".cut"), thing = e.target.closest(".thing");
    if (handle) toggle(Number(handle.dataset.group));
    else if (cut) select({ cut: Number(cut.dataset.cut) });
    else if (thing) {
      const id = Number(thing.dataset.key.slice(1));
      if (thing.dataset.key[0] === "g") toggle(id); else select({ node: id });
    } else select(null);
  });
  panel.addEventListener("click", (e) => {
    const go = e.target.closest("[data-go]");
    if (!go) return;
    const [kind, id] = go.dataset.go.split(":");
    if (kind === "toggle") toggle(Number(id)); else reveal({ [kind]: Number(id) });
  });

  // --- words ------------------------------------------------------------------------------------------------------------------

  const heading = (title, kind) => `<h2>${escape(title)}</h2>${kind ? `<p class="kind">${escape(kind)}</p>` : ""}`;
  const section = (title, content) => (content ? `<h3>${escape(title)}</h3>${content}` : "");
  const list = (items) => (items.length ? `<ul>${items.map((i) => `<li>${i}</li>`).join("")}</ul>` : "");
  const terms = (pairs) => {
    const shown = pairs.filter(([, value]) => value !== undefined && value !== "" && value !== null);
    return shown.length ? `<dl>${shown.map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`).join("")}</dl>` : "";
  };
  const go = (what, name, aside, kind = "") => `<button class="go ${kind}" data-go="${what}">${escape(name)}<span>${escape(aside || "")}</span></button>`;
  const goNode = (id) => go(`node:${id}`, nodes[id].title, shapeText(nodes[id].shape) || place(nodes[id].line));
  const goCut = (i) => go(`cut:${i}`, `✂ ${data.cuts[i].kind}`, place(data.cuts[i].line), "cutting");
  const source = (line) => (line ? `<pre>${escape(line.text || "(source not at hand)")}</pre><p class="where">${escape(line.file)}:${line.line}${line.function && line.function !== "<module>" ? `, in ${escape(line.function)}` : ""}</p>` : "");

  function statistics(g) {
    if (!g) return "";
    const pairs = [];
    if (g.values && g.values.length === 1) pairs.push(["value", number(g.values[0])]);
    else {
      if (g.values) pairs.push(["values", g.values.map(number).join(", ")]);
      if (g.norm !== undefined) pairs.push(["norm", number(g.norm)], ["mean", number(g.mean)], ["range", `${number(g.min)} … ${number(g.max)}`]);
    }
    if (g.zeros) pairs.push(["zeros", `${g.zeros.toLocaleString("en")} of ${g.size.toLocaleString("en")}`]);
    if (g.nonfinite) pairs.push(["not finite", `${g.nonfinite.toLocaleString("en")} of ${g.size.toLocaleString("en")}`]);
    return terms(pairs);
  }

  function aboutNode(id) {
    const node = nodes[id], leaf = node.kind === "parameter" || node.kind === "leaf";
    const root = data.roots.includes(id);
    const kinds = {
      operation: node.name, gone: `${node.name}, no longer in memory`, leaf: "leaf: its gradient gathers here",
      parameter: "parameter: its gradient gathers here",
    };
    const cutsHere = data.cuts.map((c, i) => [c, i]).filter(([c]) => c.from === id || c.to === id).map(([, i]) => goCut(i));
    const notes = [];
    if (node.reached === false) notes.push(`<div class="note">Backward does not come here: ${leaf ? "its" : "the"} way to ${escape(rootName())} is cut.</div>`);
    if (node.gradient?.nonfinite) notes.push(`<div class="note amber">The gradient holds infinities or NaN.</div>`);
    else if (node.gradient && node.gradient.norm === 0) notes.push(`<div class="note amber">The gradient is zero everywhere.</div>`);
    const formulas = (node.formulas && data.formulas[node.formulas]) || [];
    const saved = (node.saved || []).map((k) => `<div class="saved"><div><code>${escape(k.name)}</code><span>${escape([shapeText(k.shape), k.dtype, k.bytes ? bytes(k.bytes) : ""].filter(Boolean).join("  "))}</span></div>${
      typeof k.value === "string" ? `<small class="mono">${escape(k.value)}</small>` : k.value ? `<small>${escape(inShort(k.value))}</small>` : ""}</div>`).join("");
    const kind = node.module && (data.classes || {})[node.module];
    return heading(node.title, (root ? `${node.root}, ` : "") + kinds[node.kind]) + notes.join("") + list(cutsHere) +
      section("Line", source(node.line)) +
      section(leaf ? "Tensor" : "Result", terms([["shape", shapeText(node.shape)], ["dtype", node.dtype], ["module", node.module ? node.module + (kind ? ` (${kind})` : "") : ""]])) +
      section("Gradient", statistics(node.gradient)) +
      section("Derivative", formulas.length ? `<div class="formula">${formulas.map(([name, text]) => `<span>for ${escape(name)}</span><code>${escape(text)}</code>`).join("")}</div>` : "") +
      section(node.saved_bytes ? `Kept for backward, ${bytes(node.saved_bytes)}` : "Kept for backward", node.freed ? "<p>freed: backward has run</p>" : saved) +
      section("Inside", list(around(node.group).map((g) => go(`toggle:${g}`, `${state.open.has(g) ? "Fold" : "Unfold"} ${groups[g].name}`, groups[g].detail || counted(groups[g].size, "operation"))))) +
      section("From", list(unique(model.into[id].map((e) => e.from)).map(goNode))) +
      section("Used by", list(unique(model.out[id].map((e) => e.to)).slice(0, 30).map(goNode)));
  }
  const around = (g) => { const found = []; for (; g !== undefined; g = groups[g].parent) found.push(g); return found; };
  const unique = (ids) => [...new Set(ids)];
  const rootName = () => data.name || "the root";
  const inShort = (v) => (v.values ? v.values.map(number).join(", ") : [
    v.mean === undefined ? "" : `mean ${number(v.mean)}, range ${number(v.min)} … ${number(v.max)}`,
    v.zeros ? `${Math.round((100 * v.zeros) / v.size)} % zeros` : "", v.nonfinite ? `${v.nonfinite} not finite` : "",
  ].filter(Boolean).join(", "));

  function membersOf(id) {
    const found = [], waiting = [id];
    while (waiting.length) { const g = waiting.pop(); found.push(...model.children[g].nodes); waiting.push(...model.children[g].groups); }
    return found.sort((a, b) => a - b);
  }
  function aboutGroup(id) {
    const group = groups[id], members = membersOf(id);
    const parameters = members.filter((n) => nodes[n].kind === "parameter");
    const kept = members.reduce((sum, n) => sum + keptFirst(nodes[n]), 0);
    const count = parameters.reduce((sum, n) => sum + (nodes[n].shape || []).reduce((a, b) => a * b, 1), 0);
    const inside = new Set(members), cuts = data.cuts.map((c, i) => [c, i]).filter(([c]) => inside.has(c.from) || inside.has(c.to));
    const kinds = { module: "module", repeat: "the same operations, again and again", stretch: "a stretch of the graph" };
    return heading(group.name || "stretch", [kinds[group.kind], group.kind === "module" ? group.detail : ""].filter(Boolean).join(", ")) +
      `<button class="act" data-go="toggle:${id}">${state.open.has(id) ? "Fold" : "Unfold"}</button>` +
      list(cuts.map(([, i]) => goCut(i))) +
      section("Inside", terms([["operations", group.size.toLocaleString("en")], ["parameters", count ? count.toLocaleString("en") : ""], ["kept", kept ? bytes(kept) : ""],
        [group.kind === "module" ? "" : "repeats", group.kind === "module" ? "" : group.detail]])) +
      section("Parameters", list(parameters.slice(0, 40).map(goNode))) +
      section("Groups", list(model.children[id].groups.map((g) => go(`group:${g}`, groups[g].name || "stretch", counted(groups[g].size, "operation")))));
  }

  function aboutCut(index) {
    const cut = data.cuts[index], title = `✂ ${cut.kind}`;
    return heading(title, "a cut: the value went on, its history did not") +
      section("Line", source(cut.line)) +
      section("Cut off", goNode(cut.from)) +
      section("Goes on in", cut.to === undefined ? "" : goNode(cut.to)) +
      `<p>No gradient flows from <b>${escape(nodes[cut.to].title)}</b> back to <b>${escape(nodes[cut.from].title)}</b> along this way.</p>`;
  }

  // What a node keeps and no node before it does: memory that several keep is counted once.
  const keptFirst = (node) => (node.saved_bytes || 0) - (node.shared_bytes || 0);

  function overview() {
    const byLine = new Map();
    for (const node of nodes) if (keptFirst(node) && node.line) {
      const key = place(node.line), known = byLine.get(key);
      if (!known || node.saved_bytes > nodes[known.id].saved_bytes) byLine.set(key, { id: node.id, sum: (known?.sum || 0) + keptFirst(node) });
      else known.sum += keptFirst(node);
    }
    const operations = nodes.filter((n) => n.kind === "operation").length;
    const parameters = nodes.filter((n) => n.kind === "parameter");
    const broken = nodes.filter((n) => n.gradient?.nonfinite).reverse(); // backward meets the last first
    const still = parameters.filter((n) => n.gradient && n.gradient.norm === 0 && !n.gradient.nonfinite);
    const keepers = [...byLine].sort((a, b) => b[1].sum - a[1].sum).slice(0, 6);
    const numbers = parameters.reduce((sum, n) => sum + (n.shape || []).reduce((a, b) => a * b, 1), 0);
    return heading(data.name || "graph", `${nodes[data.roots[0]].name}${data.roots.length > 1 ? ` and ${data.roots.length - 1} more` : ""}`) +
      (data.unreached.length ? `<div class="note">${counted(data.unreached.length, "parameter gets", "parameters get")} no gradient.</div>` : "") +
      section("Cuts", list(data.cuts.slice(0, 30).map((_, i) => goCut(i)))) +
      section("No gradient", list(data.unreached.slice(0, 30).map((name) => {
        const node = nodes.find((n) => n.title === name);
        return node ? go(`node:${node.id}`, name, shapeText(node.shape)) : `<span class="mono">${escape(name)}</span>`;
      }))) +
      section("Gradient not finite, in the order of backward", list(broken.slice(0, 8).map((n) => goNode(n.id)))) +
      section("Gradient zero", list(still.slice(0, 8).map((n) => goNode(n.id)))) +
      section("In all", terms([["operations", operations.toLocaleString("en")],
        ["parameters", parameters.length ? `${numbers.toLocaleString("en")} in ${counted(parameters.length, "tensor")}` : ""],
        ["kept for backward", data.saved_bytes ? bytes(data.saved_bytes) : ""]])) +
      section("Where memory is kept", list(keepers.map(([line, { id, sum }]) => go(`node:${id}`, line, bytes(sum))))) +
      section("Keys", '<div class="keys"><span><kbd>←</kbd> <kbd>↑</kbd> <kbd>↓</kbd> <kbd>→</kbd></span><span>move along the graph</span><kbd>Enter</kbd><span>fold, unfold</span><kbd>/</kbd><span>find</span><span><kbd>f</kbd> <kbd>+</kbd> <kbd>−</kbd></span><span>show all, zoom</span><span><kbd>e</kbd> <kbd>c</kbd></span><span>unfold, fold everything</span><kbd>t</kbd><span>light, dark</span><kbd>Esc</kbd><span>this overview</span></div>') +
      (data.recorded ? "" : section("Lines and cuts", "<p>They are known where the program ran under <code>lens.record()</code> or <code>wengert graph</code>.</p>"));
  }

  // --- searching ------------------------------------------------------------------------------------------------------------

  const input = $("search").querySelector("input"), results = $("results");
  let found = [], chosen = 0, index = null;
  function entries() {
    if (index) return index;
    index = [];
    for (const g of groups) if (g.kind === "module") index.push({ what: { group: g.id }, name: model.paths[g.id], aside: g.detail || "module", text: `${model.paths[g.id]} ${g.detail || ""}`.toLowerCase() });
    data.cuts.forEach((c, i) => index.push({ what: { cut: i }, name: `✂ ${c.kind}`, aside: place(c.line), text: `cut ${c.kind} ${place(c.line)} ${c.line ? c.line.text : ""}`.toLowerCase() }));
    for (const n of nodes) index.push({ what: { node: n.id }, name: n.kind === "operation" ? `${n.title} #${n.id}` : n.title, aside: [shapeText(n.shape), place(n.line)].filter(Boolean).join("  "),
      text: `${n.title} ${n.name} #${n.id} ${n.module || ""} ${place(n.line)} ${n.root || ""} ${n.line ? n.line.text : ""}`.toLowerCase() });
    return index;
  }
  function search() {
    const words = input.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    found = [];
    if (words.length) {
      const good = entries().filter((e) => words.every((w) => e.text.includes(w)));
      const rank = (e) => { const at = e.name.toLowerCase().replace("✂ ", "").indexOf(words[0]); return at === 0 ? 0 : at > 0 ? 1 : 2; };
      found = good.map((e) => [rank(e), e]).sort((a, b) => a[0] - b[0]).slice(0, 40).map(([, e]) => e);
    }
    chosen = 0;
    results.innerHTML = found.map((e, i) => `<li role="option" id="r${i}" aria-selected="${i === 0}" data-i="${i}">${escape(e.name)}<span>${escape(e.aside)}</span></li>`).join("") ||
      (words.length ? '<li class="none">nothing found</li>' : "");
    input.setAttribute("aria-expanded", String(found.length > 0));
  }
  function choose(i) {
    results.children[chosen]?.setAttribute("aria-selected", "false");
    chosen = (i + found.length) % found.length;
    results.children[chosen].setAttribute("aria-selected", "true");
    results.children[chosen].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", `r${chosen}`);
  }
  function leaveSearch() { results.innerHTML = ""; input.setAttribute("aria-expanded", "false"); }
  input.addEventListener("input", search);
  input.addEventListener("focus", () => { if (input.value) search(); });
  input.addEventListener("keydown", (e) => {
    if (e.key === "ArrowDown" && found.length) { choose(chosen + 1); e.preventDefault(); }
    else if (e.key === "ArrowUp" && found.length) { choose(chosen - 1); e.preventDefault(); }
    else if (e.key === "Enter" && found.length) { const { what } = found[chosen]; leaveSearch(); stage.focus({ preventScroll: true }); reveal(what); }
    else if (e.key === "Escape") { input.value = ""; leaveSearch(); stage.focus(); }
    e.stopPropagation();
  });
  results.addEventListener("mousedown", (e) => {
    const li = e.target.closest("li[data-i]");
    if (li) { e.preventDefault(); leaveSearch(); stage.focus({ preventScroll: true }); reveal(found[Number(li.dataset.i)].what); }
  });
  input.addEventListener("blur", leaveSearch);

  // --- keys -----------------------------------------------------------------------------------------------------------------

  // The visible neighbour of the selected thing in a direction: up to what it came from, down to its users, sideways.
  function neighbour(direction) {
    const v = state.view;
    let here = state.selected && (state.selected.cut === undefined) ? v.byKey.get(state.selected.group !== undefined ? `g${state.selected.group}` : v.keys[state.selected.node]) : null;
    if (!here) return v.byKey.get(v.keys[data.roots[0]]);
    const vertical = direction === "ArrowUp" || direction === "ArrowDown";
    if (vertical) {
      const up = direction === "ArrowUp";
      const ends = [...v.edges, ...v.cuts].filter((e) => (up ? e.to : e.from) === here.key).map((e) => v.byKey.get(up ? e.from : e.to));
      return ends.sort((a, b) => Math.abs(a.x - here.x) - Math.abs(b.x - here.x))[0];
    }
    const side = direction === "ArrowLeft" ? -1 : 1;
    const cost = (t) => Math.abs(t.x - here.x) + 4 * Math.abs(t.y - here.y);
    return v.things.filter((t) => (t.x - here.x) * side > 4 && Math.abs(t.y - here.y) < 160).sort((a, b) => cost(a) - cost(b))[0];
  }

  const keys = {
    f: () => fit(), "0": () => fit(), "+": () => zoomAt(1.25), "=": () => zoomAt(1.25), "-": () => zoomAt(0.8),
    e: openAll, c: closeAll, t: switchTheme, Escape: () => select(null),
    Enter: () => {
      const s = state.selected;
      if (s?.group !== undefined) toggle(s.group);
      else if (s?.node !== undefined && nodes[s.node].group !== undefined) toggle(nodes[s.node].group);
    },
  };
  keys[" "] = keys.Enter;
  addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || !state.view) return;
    if (e.key === "/") { input.focus(); input.select(); e.preventDefault(); return; }
    if (e.target !== document.body && e.target !== stage && !(e.key === "Escape")) return;
    if (e.key.startsWith("Arrow")) {
      const next = neighbour(e.key);
      if (next) {
        const what = next.kind === "group" ? { group: next.group } : { node: next.node };
        select(what);
        if (!inSight(what)) centre(what);
      }
      e.preventDefault();
    } else if (keys[e.key]) { keys[e.key](); e.preventDefault(); }
  });

  // --- the rest of the page -----------------------------------------------------------------------------------------------

  function switchTheme() {
    const dark = document.documentElement.dataset.theme !== "dark";
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    try { localStorage.wengertTheme = document.documentElement.dataset.theme; } catch { /* private */ }
  }

  function legend() {
    const some = (kind) => nodes.some((n) => n.kind === kind);
    const entry = (body, words) => `<span><svg class="drawing" viewBox="0 0 26 14">${body}</svg>${words}</span>`;
    const box = (kind, rx, more = "") => `<g class="${kind}"><rect class="box" x="1" y="1" width="24" height="12" rx="${rx}"/>${more}</g>`;
    return [
      entry(box("operation", 3), "operation"),
      some("parameter") || some("leaf") ? entry(box("parameter", 6), some("parameter") ? "parameter" : "leaf") : "",
      groups.length ? entry(`<g class="group"><rect class="behind" x="4" y="4" width="21" height="9" rx="3"/><rect class="box" x="1" y="1" width="21" height="9" rx="3"/></g>`, "folded") : "",
      entry(box("root", 3), "root"),
      nodes.some((n) => n.reached === false) ? entry(box("beyond", 3), "not reached by backward") : "",
      data.cuts.length ? entry('<g class="cut"><path class="line" d="M0 7H26"/></g>', "cut: history left behind") : "",
    ].join("");
  }

  $("bar").querySelector("h1").textContent = data.name ? `Graph of ${data.name}` : "Graph";
  const cutCount = data.cuts.length ? `<b>${counted(data.cuts.length, "cut")}</b>` : "";
  $("summary").innerHTML = [escape(data.summary.replace(/, [\d,]+ cuts?$/, "")), cutCount].filter(Boolean).join(", ");
  $("legend").innerHTML = legend();
  $("unfold").addEventListener("click", openAll);
  $("fold").addEventListener("click", closeAll);
  $("theme").addEventListener("click", switchTheme);
  $("in").addEventListener("click", () => zoomAt(1.25));
  $("out").addEventListener("click", () => zoomAt(0.8));
  $("fit").addEventListener("click", fit);
  if (!groups.length) { $("unfold").hidden = true; $("fold").hidden = true; }
  select(null, true);
  redraw().then(() => {
    if (!state.view) return;
    readable();
    document.documentElement.dataset.ready = "";
  });
})();
