// The stage in the browser: lays a moment of a run out as SVG and HTML. One ES module, no library, no request.
//
// It is the same in the lab's pane (anywidget calls render), in a saved page and in the docs (they call savedPage), and twice in
// a comparison. What it shows comes from wire.py as words and states; all geometry is here.

/** The actions that the story of a move needs: they stay in the bar when there is little room. */
const STORY = new Set(["mmap", "map", "dma", "defrag"]);
const NS = "http://www.w3.org/2000/svg";
const FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif";
const KEPT = 400; // moments of a run that are kept in the browser
const PACES = { "slow, 2 s": 2000, "1 s": 1000, "fast, 0.5 s": 500, "very fast, 0.25 s": 250 };

// -- small tools ----------------------------------------------------------------------------------------------------------

const pen = document.createElement("canvas").getContext("2d");
const widths = new Map();

/** How many pixels a text takes, measured. */
function wide(text, font) {
  const key = font + text;
  if (!widths.has(key)) {
    pen.font = `${font} ${FONT}`;
    widths.set(key, pen.measureText(text).width);
  }
  return widths.get(key);
}

/** The first variant that has room (they go from long to short); nothing if none has. */
const fit = (variants, room, font) => variants.find((text) => wide(text, font) <= room) ?? "";

/** An HTML element with attributes and children; texts stay texts. */
function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return made;
}

/** SVG whose elements have keys: what has the same key is the same element from step to step, so that CSS can move it. */
function keeper(svg, names) {
  const layers = Object.fromEntries(names.map((name) => [name, svg.appendChild(document.createElementNS(NS, "g"))]));
  const live = new Map();
  let seen;
  const put = (parent, tag, key, style, attributes = {}, text) => {
    const home = layers[parent] ?? parent;
    const one = live.get(key) ?? { made: document.createElementNS(NS, tag), set: {} };
    const { made, set } = one; // what was set is remembered: asking the element for it costs more than most steps change
    live.set(key, one);
    seen.add(key);
    if (made.parentNode !== home) home.appendChild(made);
    if (made.getAttribute("class") !== style) made.setAttribute("class", style);
    for (const [name, value] of Object.entries(attributes)) {
      const wanted = value === undefined ? undefined : name === "xy" ? `translate(${value[0]}px,${value[1]}px)` : String(value);
      if (set[name] === wanted) continue;
      set[name] = wanted;
      if (name === "xy") made.style.transform = wanted;
      else if (name === "width" || name === "height") made.style[name] = `${Math.max(value, 0)}px`;
      else if (value === undefined) made.removeAttribute(name);
      else {
        made.setAttribute(name, wanted);
        if (name === "d") made.style.d = `path("${value}")`;
      }
    }
    if (text !== undefined && set.text !== text) {
      set.text = text;
      made.textContent = text;
    }
    return made;
  };
  return (draw) => {
    seen = new Set();
    draw(put);
    for (const [key, { made }] of live) {
      if (seen.has(key)) continue;
      made.remove();
      live.delete(key);
    }
  };
}

/** What an element says when pointer or focus asks it: the kind of thing that it is (see terms.py), and its words. */
const asks = (kind, words) => ({ "data-ask": kind, "data-said": words });

/** Which of the terms a cell is. */
function termOf(c) {
  if (c.k.startsWith("ram")) return "ram";
  const kind = c.c.split(" ")[0];
  if (kind === "none") return c.k.includes(":page") ? "no vma" : "no entry";
  return kind === "stale" && c.k.endsWith(":iommu") ? "mmu" : kind;
}

// -- the chain ------------------------------------------------------------------------------------------------------------

// Heights and widths in pixels. gut: room for the names of rows; side: for the name of a table; top: for the notifier's bars;
// u, s, f: rows of users, slots, frames; z1, z2: the ways between them; mmu: the row of an IOMMU; line: from text to text.
const SIZES = {
  roomy: { gut: 112, side: 80, top: 26, u: 54, z1: 58, s: 52, z2: 38, f: 60, mmu: 34, title: 0, line: 15 },
  tight: { gut: 104, side: 76, top: 22, u: 46, z1: 44, s: 46, z2: 24, f: 50, mmu: 28, title: 0, line: 13.4 },
  small: { gut: 104, side: 76, top: 20, u: 42, z1: 40, s: 42, z2: 22, f: 44, mmu: 26, title: 0, line: 13 },
  phone: { gut: 0, side: 0, top: 40, u: 50, z1: 46, s: 50, z2: 46, f: 52, mmu: 26, title: 16, line: 15 },
};
const MOST = { roomy: 186, tight: 186, small: 186, phone: 90 };
const PLATES = 20; // narrower slots share a label for each object
const EDGE = 5; // a band is so much larger than its cells

const chainHeight = (g, mmu) => g.top + g.u + g.z1 + (mmu ? g.mmu + 30 : 0) + g.s + g.z2 + g.f + 8 + g.title;
const span = (cells) => cells.reduce((sum, cell) => sum + (cell.w ?? 1), 0);

/** The cells of a row with opened blocks as what they hold; `home` learns in which closed block a cell is. */
function unfolded(cells, opened, home) {
  return cells.flatMap((cell) => {
    if (cell.in && opened.has(cell.k)) return cell.in;
    cell.in?.forEach((inner) => home.set(inner.k, cell.k));
    return [cell];
  });
}

/** Names of rows where there is little room, or letters are wide. */
const SHORT = { "main memory": "RAM", "BAR aperture": "aperture" };

/** Everything above the timeline: users, IOMMU, slots, frames, and the ways between. Returns where each cell is. */
function drawChain(put, view) {
  const { moment: m, scene, width: W, size, g, id, opened, differs } = view;
  const phone = size === "phone";
  const home = new Map();
  const groups = m.groups.map((group) => ({ ...group, cells: unfolded(group.cells, opened, home) }));
  const slots = unfolded(m.slots, opened, home);
  const frames = unfolded(m.frames, opened, home);
  const ram = m.ram ?? [];
  const mmu = groups.some((group) => group.mmu);
  const at = {};
  const said = new Map(); // what each cell says when it is asked
  const yUsers = g.top;
  const yMmu = yUsers + g.u + 22;
  const ySlots = yUsers + g.u + g.z1 + (mmu ? g.mmu + 30 : 0);
  const yFrames = ySlots + g.s + g.z2;
  const left = g.gut + (phone ? 2 : 4);
  const gap = ram.length ? (phone ? 12 : 116) : 0;
  const columns = Math.max(span(slots), span(frames));
  const pitch = Math.min(MOST[size] * (W > 1600 ? 1.2 : 1), (W - left - gap - 4) / (columns + ram.length));
  const end = left + pitch * columns;
  const space = (step) => (step > 60 ? 8 : step > 24 ? 4 : step > 12 ? 2 : 1);

  const band = (key, x, y, w, height, name, subs, textX) => {
    const titled = phone && (y === ySlots || y === yFrames) ? g.title : 0;
    put("bands", "rect", key, "band", { xy: [x, y - EDGE], width: w, height: height + 2 * EDGE + titled, rx: 5 });
    if (phone) {
      const long = subs.length ? [`${name}: ${subs.map((sub) => sub[0]).join(" ")}`, `${name}: ${subs[0][0].replace(/,$/, "")}`, name] : [name, name.split(":")[0]];
      const words = fit(long, Math.max(w, 40) - 6, "bold 11.5px");
      put("words", "text", `${key}:name`, "name", { xy: [x + 4, y === yUsers ? y - 9 : y + height + 15] }, words);
      return;
    }
    const lines = subs.slice(0, height < 40 ? 1 : 2);
    const first = y + height / 2 - 6.5 * lines.length + 4;
    const room = textX === 9 ? g.gut - 10 : key === "ram" ? 92 : g.side - 6;
    // A row has the name that texts call it by: where letters are wide it is set a little narrower.
    const over = wide(name, "bold 13px") / room;
    const words = over < 1.25 ? name : fit([SHORT[name] ?? name, name.split(" ")[0]], room, "bold 13px");
    const narrower = over > 1 && over < 1.25 ? { textLength: room, lengthAdjust: "spacingAndGlyphs" } : { textLength: undefined, lengthAdjust: undefined };
    put("bands", "text", `${key}:name`, "name", { xy: [textX, first], ...narrower }, words);
    lines.forEach((line, n) => put("bands", "text", `${key}:sub${n}`, "sub", { xy: [textX, first + 13.5 * (n + 1)] }, fit(line, room, "11px")));
  };

  const cell = (c, x, y, w, height) => {
    at[c.k] = { x, y, w, h: height, y0: y };
    const strip = c.o !== undefined && !c.tile && /page|frame|hurt|dma/.test(c.c);
    const box = { xy: [x, y], width: w, height, rx: Math.min(5, w / 4) };
    if (c.n || c.x) {
      const ring = { xy: [x - 3, y - 3], width: w + 6, height: height + 6, rx: 7 };
      put("rings", "rect", `${c.k}:ring`, c.x ? "ring lost" : "ring", ring);
    }
    if (c.tile) put("tiles", "rect", c.tile, `tile o${c.o}`, box);
    const colour = !c.tile && c.o !== undefined && !strip ? ` o${c.o}` : "";
    const style = `cell ${c.c}${colour}${c.n || c.x ? " new" : ""}${c.w ? " block" : ""}`;
    const made = put("cells", "g", c.k, style, { xy: [x, y], "data-k": c.k, role: "img", "aria-label": c.t, ...asks(termOf(c), c.t) });
    if (!made.hasAttribute("tabindex")) made.setAttribute("tabindex", -1);
    said.set(c.k, c.t);
    put(made, "rect", `${c.k}:face`, "face", { width: w, height, rx: box.rx });
    const bar = { x: 2, y: 2, width: w - 4, height: height > 50 ? 7 : 5, rx: 2 };
    if (strip) put(made, "rect", `${c.k}:strip`, `strip o${c.o}`, bar);
    if (c.h) put(made, "rect", `${c.k}:hatch`, "hatch", { ...bar, fill: `url(#hatch${id})` });
    const tall = height - (strip || c.h ? 12 : 7);
    const all = c.l.filter((line) => line.length);
    const lines = height >= 30 && tall / all.length < 11 ? all.slice(0, 2) : all; // the third line is what a cell can spare
    const step = height < 30 ? 11.5 : Math.min(g.line, tall / lines.length);
    const first = height / 2 + 4.3 - (step * (lines.length - 1)) / 2 + (strip || c.h ? 3 : 0);
    const room = w - (w > 70 ? 8 : w > 20 ? 3 : 1);
    lines.forEach((variants, n) => {
      const bold = n === 0 || n > 1 || (c.c === "hurt" && n === 1) || (c.c === "dma" && n === 1);
      const font = n === 0 && w > 26 && height >= 30 ? "bold 12.5px" : bold ? "bold 11px" : "11px";
      let words = n && c.tile && pitch <= PLATES ? "" : fit(variants, room, font);
      const last = variants.at(-1);
      // A cell never loses its name: its shortest form is set a little narrower where that is all it takes.
      const squeezed = !words && n === 0 && wide(last, "11px") < room * 1.8;
      if (squeezed) words = last;
      const narrow = font === "bold 11px" && n === 0 ? (squeezed ? " narrow thin" : " narrow") : "";
      const fitted = { textLength: squeezed ? room : undefined, lengthAdjust: squeezed ? "spacingAndGlyphs" : undefined };
      put(made, "text", `${c.k}:${n}`, `l${n}${narrow}`, { x: w / 2, y: first + step * n, ...fitted }, words);
    });
    if (differs?.has(c.k)) {
      const mark = put("words", "g", `${c.k}:differs`, "differs", { xy: [x + w - 1, y + 1], ...asks("differs", c.t) });
      put(mark, "path", `${c.k}:differs:d`, "", { d: "M0 -7L7 0L0 7L-7 0Z" });
    }
  };

  // The users: processes from the left, importers to the right end, what is left over between the two.
  const weights = groups.map((group) => (group.kind === "importer" ? 1.4 : 1));
  const units = groups.reduce((sum, group, n) => sum + weights[n] * span(group.cells), 0);
  const between = phone ? 10 : g.side + 22;
  const right = ram.length || end > W - 150 ? Math.max(end + (ram.length ? gap + pitch * ram.length : 0), Math.min(W, 820)) : W;
  const room = right - left - (groups.length - 1) * between - 8;
  const unit = Math.min(phone ? 44 : 92, room / units);
  const step = weights.map((weight) => (phone ? Math.min(44, room / groups.reduce((n, p) => n + span(p.cells), 0)) : unit * weight));
  const sizes = groups.map((group, n) => step[n] * span(group.cells));
  const spare = room - sizes.reduce((sum, one) => sum + one, 0);
  const firstImporter = groups.findIndex((group) => group.kind === "importer");
  let x = left;
  groups.forEach((group, n) => {
    if (n) x += between + (n === firstImporter && !phone ? spare : 0);
    const textX = n ? x - g.side : 9;
    const bandX = n ? (phone ? x - 3 : textX - 8) : 0;
    band(group.k, bandX, yUsers, x + sizes[n] + (phone ? 0 : 2) - bandX, g.u, phone ? group.short : group.name, phone ? [] : group.sub, textX);
    let cx = x;
    const places = [];
    for (const c of group.cells) {
      const w = step[n] * (c.w ?? 1);
      cell(c, cx, yUsers, w - space(step[n]), g.u);
      places.push(cx);
      cx += w;
    }
    if (group.mmu) {
      if (!phone) band(`${group.k}:mmu`, bandX, yMmu, x + sizes[n] + 2 - bandX, g.mmu, "IOMMU", [["IOVA → bus"]], textX);
      group.mmu.forEach((c, q) => c && cell(c, places[q], yMmu, step[n] - space(step[n]), g.mmu));
    }
    x += sizes[n];
  });
  band("bar", 0, ySlots, end + 2, g.s, phone ? "BAR aperture" : "BAR aperture", scene.aperture, 9);
  band("memory", 0, yFrames, end + 2, g.f, `${scene.gpu === "gpu" ? "GPU" : scene.gpu} memory`, [["frames behind it,", "frames"], ["whose bytes"]], 9);
  if (ram.length) {
    band("ram", end + (phone ? 8 : 12), ySlots, (phone ? 4 : 106) + pitch * ram.length, g.s, "main memory", phone ? [] : [["a bus address"], ["of its own"]], end + 20);
  }
  const row = (cells, y, height, start) => {
    let cx = start;
    for (const c of cells) {
      const w = pitch * (c.w ?? 1);
      cell(c, cx, y, w - space(pitch), height);
      cx += w;
    }
  };
  row(slots, ySlots, g.s, left);
  row(frames, yFrames, g.f, left);
  row(ram, ySlots, g.s, end + gap);
  plates(put, slots, at, pitch);

  drawWays(put, view, at, home, said, { W, groups, ySlots, slotHeight: g.s, gap: space(pitch) });
  drawBars(put, m, at, home, phone ? 2 : yUsers - EDGE - 17);
  return at;
}

/** Where cells are too narrow for words, one label for a run of an object's pages. */
function plates(put, cells, at, pitch) {
  if (pitch > PLATES) return;
  let run = [];
  const close = () => {
    if (run.length > 2) {
      const [first, last] = [at[run[0].k], at[run.at(-1).k]];
      const name = (c) => c.tile.slice(5);
      const said = `${name(run[0])} … ${name(run.at(-1))}`;
      const w = wide(said, "bold 11px") + 8;
      const middle = (first.x + last.x + last.w) / 2;
      if (w < last.x + last.w - first.x) {
        const plate = put("words", "g", `${run[0].tile}:plate`, "plate", { xy: [middle, first.y + first.h - 9] });
        put(plate, "rect", `${run[0].tile}:plate:r`, "", { x: -w / 2, y: -8, width: w, height: 14, rx: 3 });
        put(plate, "text", `${run[0].tile}:plate:t`, "", { y: 3 }, said);
      }
    }
    run = [];
  };
  for (const c of cells) {
    if (run.length && (!c.tile || c.o !== run[0].o)) close();
    if (c.tile) run.push(c);
  }
  close();
}

const HEADS = {
  arrow: (r) => `M${-r} ${-r}H${r}L0 ${r}Z`,
  dot: () => "M-3 0A3 3 0 1 1 3 0A3 3 0 1 1 -3 0Z",
  x: () => "M-5 -5L5 5M5 -5L-5 5",
};

function drawWays(put, view, at, home, said, place) {
  const { moment: m } = view;
  const { W, groups } = place;
  const seen = new Set();
  const beats = [];
  const aside = (cell, n) => (n === undefined ? 0 : (n - (groups.length - 1) / 2) * Math.min(26, cell.w / (groups.length + 0.5)));
  for (const w of m.ways) {
    const from = home.get(w.a) ?? w.a;
    const to = home.get(w.b) ?? w.b;
    const folded = from !== w.a || to !== w.b;
    const key = folded ? `${from}>${to}>${w.c}` : w.k;
    const a = at[from];
    const b = at[to];
    if (!a || seen.has(key)) continue;
    seen.add(key);
    const beat = w.c.includes("beat");
    const inner = w.k.endsWith(":in");
    const r = beat ? 7 : w.head === "dot" ? 3 : 5;
    const x0 = a.x + a.w / 2 + (inner ? aside(a, w.at) : 0);
    const y0 = a.y + a.h;
    const x1 = b ? b.x + b.w / 2 + aside(b, w.at) : x0;
    const y1 = b ? b.y - (w.head ? r : 0) : y0 + 14;
    const middle = (y0 + y1) / 2;
    let d = `M${x0} ${y0}C${x0} ${middle} ${x1} ${middle} ${x1} ${y1}`;
    if (w.c.includes("link") && b) {
      // A private link passes the bus row between two slots, and reaches the frame directly.
      const gx = b.x - place.gap / 2;
      const top = place.ySlots - 3;
      const foot = place.ySlots + place.slotHeight + 3;
      d = `M${x0} ${y0}C${x0} ${(y0 + top) / 2} ${gx} ${(y0 + top) / 2} ${gx} ${top}V${foot}C${gx} ${(foot + y1) / 2} ${x1} ${(foot + y1) / 2} ${x1} ${y1}`;
    }
    const line = put("ways", "g", `way>${key}`, `way ${w.c}`, { "data-a": from, "data-b": to });
    put(line, "path", `line>${key}`, "line", { d });
    const kind = beat ? "beat" : w.c.split(" ").at(-1); // a link is one, whatever its state
    put(line, "path", `hit>${key}`, "hit", { d, ...asks(kind, w.t ?? said.get(from)) });
    if (w.head) put("heads", "path", `head>${key}`, `head ${w.c} ${w.head}`, { d: HEADS[w.head](r), xy: [x1, y1], "data-a": from, "data-b": to });
    if (w.pill) pill(put, `pill>${w.k}`, (x0 + x1) / 2, b ? middle : y1 + 13, w.pill, w.pill[0] === "✗" ? "bad" : "", W);
    if (beat && w.c.includes("landed")) beats.push([w.k, d, w.c]);
  }
  view.flights = beats;
}

function pill(put, key, x, y, said, style, W) {
  const w = wide(said, "bold 12px") + 14;
  const made = put("words", "g", key, `pill ${style}`, { xy: [Math.min(Math.max(x, w / 2 + 1), W - w / 2 - 1), y] });
  put(made, "rect", `${key}:r`, "", { x: -w / 2, y: -9, width: w, height: 18, rx: 9 });
  put(made, "text", `${key}:t`, "", { y: 4.5 }, said);
}

/** Invalidations over the pages, and the callbacks that run for them over the importers' tables. */
function drawBars(put, m, at, home, y) {
  const of = (key) => at[home.get(key) ?? key];
  for (const bar of m.bars) {
    const [a, z] = [of(bar.a), of(bar.b)];
    if (!a || !z) continue;
    const w = z.x + z.w - a.x;
    const kind = bar.call ? `call:${bar.call}` : "range";
    const made = put("words", "g", `bar>${bar.k}`, "amber", { xy: [a.x, y], ...asks(kind, bar.t) });
    put(made, "rect", `bar>${bar.k}:r`, "", { width: w, height: 15, rx: 4 });
    put(made, "text", `bar>${bar.k}:t`, "", { x: w / 2, y: 11.5 }, fit(bar.l, w - 6, "bold 11px"));
    const range = m.bars.find((one) => !one.call);
    const start = range && of(range.b);
    if (bar.call && start && start.x + start.w < a.x - 20) {
      put("ways", "path", `bar>${bar.k}:w`, "told", { d: `M${start.x + start.w} ${y + 7.5}H${a.x - 8}m0 -5l8 5l-8 5` });
    }
  }
}

// -- the timeline ---------------------------------------------------------------------------------------------------------

const LARGE = [1600, 900]; // pixels of a large screen's stage
const ZOOM = 1.25; // how many times larger everything is there
const TALLEST = 1080; // pixels: a higher window leaves room below
const LONGEST = 240; // a longer run is seen through a window
const AMBER_CALLS = /^(inval|release|move_notify)/;

/** Which steps of the run the timeline shows. */
function windowOf(end, step) {
  if (end <= LONGEST) return [0, end];
  const first = Math.max(0, Math.min(end - 160, Math.floor((step - 60) / 40) * 40));
  return [first, first + 160];
}

/** A lane for each actor, time to the right; what lies ahead of the step is pale. Returns where the slider has to be. */
function drawLanes(put, view, width, lane) {
  const { run, step: at, hidden } = view;
  const W = width;
  const top = 16;
  const [low, high] = windowOf(run.end, at);
  const unit = (W - 44) / Math.max(1, high - low + 1);
  const xx = (step) => 22 + unit * (step - low);
  const yy = Object.fromEntries(run.lanes.map(([name], n) => [name, top + lane * (n + 0.5)]));
  const foot = top + lane * run.lanes.length;
  const height = Math.min(16, lane * 0.36);
  const taken = [];
  const when = (step) => (step <= at ? "" : " ahead");
  const shown = (a, b = a) => a <= high && (b ?? run.end) >= low && (!hidden || a <= at);
  const go = (step) => ({ "data-go": step });
  const lanesOf = Object.fromEntries(run.lanes.map(([name], n) => [name, n]));
  /** A mark that can have the focus: which kind of thing it is, its words, its lane, its step, and where a click on it goes. */
  const mark = (kind, words, lane, first, to = first) => ({ role: "img", "aria-label": words, "data-lane": lanesOf[lane] ?? 0, "data-at": first, ...go(to), ...asks(kind, words) });

  const label = (key, said, style, spots, font = "11px", more = {}) => {
    const w = wide(said, font);
    for (const [x, y, align] of spots) {
      const x0 = align === "end" ? x - w : align === "middle" ? x - w / 2 : x;
      const box = [x0 - 3, y - 6, x0 + w + 3, y + 6];
      if (x0 < 0 || x0 + w > W) continue;
      if (taken.some((b) => !(box[2] < b[0] || b[2] < box[0] || box[3] < b[1] || b[3] < box[1]))) continue;
      taken.push(box);
      return put("words", "text", key, style, { xy: [x0, y + 4], ...more }, said);
    }
  };
  run.lanes.forEach(([name], n) => {
    if (n % 2 === 0) put("bands", "rect", `b${n}`, "band", { xy: [0, top + lane * n], width: W, height: lane });
    put("bands", "path", `l${n}`, "axis", { d: `M8 ${yy[name]}H${W - 8}` });
  });
  const every = [1, 2, 5, 10, 20, 50].find((count) => unit * count >= 34) ?? 100;
  for (let step = Math.ceil(low / every) * every; step <= high; step += every) {
    if (Math.abs(xx(step) - xx(at)) > 26 || run.end > LONGEST) put("bands", "text", `tick${step}`, "tick", { xy: [xx(step), foot + 15] }, String(step));
  }
  run.breaks.forEach(([rule, step, who], n) => {
    if (!shown(step)) return;
    put("marks", "path", `break${n}`, `break${when(step)}`, { d: `M${xx(step)} ${top - 3}V${foot}` });
    const asked = mark(`rule:${rule}`, `${who || "somebody"} breaks ${rule} at step ${step}`, who, step);
    if (yy[who]) put("tops", "path", `bx${n}`, `bx${when(step)}`, { d: "M-5 -5L5 5M5 -5L-5 5", xy: [xx(step), yy[who]] });
    const near = (yy[who] ?? top) + lane * 0.42;
    const spots = [[xx(step) - 4, 8, "end"], [xx(step) + 4, 8], [xx(step) - 9, near, "end"], [xx(step) + 9, near]];
    label(`bn${n}`, `✗ ${rule}`, `broke${when(step)}`, spots, "bold 11.5px", asked);
  });
  run.marks.forEach(([name, kind, first, last, said, good, depth], n) => {
    const end = last ?? run.end;
    if (!shown(first, end)) return;
    const y = yy[name];
    const key = kind + n;
    if (kind === "press") {
      label(key, `▼ ${said}`, `you${when(first)}`, [[xx(first), 8, "middle"], [xx(first) + 4, 8], [xx(first) - 4, 8, "end"]], "bold 11px", mark("press", `a person pressed ${said}, step ${first}`, name, first));
      return;
    }
    if (y === undefined) return;
    if (kind === "step") {
      const style = `step${first === at ? " here" : when(first)}`;
      const box = { xy: [xx(first) - unit / 2 + 0.5, y - height / 2], width: Math.max(unit - 1, 1), height, rx: Math.min(4, unit / 4) };
      put("marks", "rect", key, style, { ...box, ...mark("step", `${name}, step ${first}${said ? `: ${said}` : ""}`, name, first) });
    } else if (kind === "lock") {
      const x0 = Math.max(xx(first), xx(low)) - unit / 2;
      const w = xx(Math.min(end, high)) + unit / 2 - x0;
      const box = { xy: [x0, y + height / 2 + 2 + 4 * Math.min(depth, 2)], width: w, height: 3, rx: 1 };
      const words = `${name} holds ${said}, ${last === null ? `since step ${first}` : `steps ${first} to ${end}`}`;
      put("marks", "rect", key, `lock${when(first)}`, { ...box, ...mark(`lock:${said.split(".").at(-1)}`, words, name, first) });
    } else if (kind === "beat") {
      const stop = first <= at ? Math.min(end, at) : end;
      const y1 = y - height / 2 - 4;
      const style = (first <= at && at < end ? " flying" : good ? " right" : " stale") + when(first);
      const box = { xy: [xx(first), y1 - 1.5], width: Math.max(xx(stop) - xx(first), 1), height: 3 };
      put("marks", "rect", key, `beat${style}`, { ...box, ...mark("beat", `beat of ${name}, steps ${first} to ${end}: ${said}`, name, first, end) });
      if (stop === end && last !== null) {
        const d = good ? "M-3 0A3 3 0 1 1 3 0A3 3 0 1 1 -3 0Z" : "M-3 -3L3 3M3 -3L-3 3";
        put("marks", "path", `${key}:end`, `end${style}`, { d, xy: [xx(end), y1] });
      }
      taken.push([xx(first), y1 - 2, xx(end), y1 + 2]);
    }
  });
  run.calls.forEach(([from, to, name, first, last, via, actor, result], n) => {
    const end = last ?? run.end;
    if (!shown(first, end) || yy[from] === undefined || yy[to] === undefined) return;
    const [y0, y1] = [yy[from], yy[to]];
    const down = y1 > y0 ? 1 : -1;
    const off = height / 2 + 1;
    const x = xx(first);
    const z = xx(end) + unit * 0.3;
    const stop = first <= at ? Math.min(z, xx(at) + unit / 2) : z;
    const style = (AMBER_CALLS.test(name) ? " amber" : "") + when(first);
    const said = `${to}.${name}${via ? `, through ${via}` : ""}, in ${actor}'s thread, step ${first}${last === null ? ", has not returned" : ` to ${last}${result ? `, returns ${result}` : ""}`}`;
    const asked = { ...go(first), ...asks(`call:${name}`, said) };
    const marked = mark(`call:${name}`, said, from, first);
    if (stop - x > 3 && last !== first) {
      const box = { xy: [x, y1 - off - 1.5], width: stop - x, height: 2 * off + 3, rx: 4 };
      put("bands", "rect", `act${n}`, `act${style}`, { ...box, ...(from === to ? marked : asked) });
    }
    if (from === to) return;
    put("marks", "path", `call${n}`, `call${style}`, { d: `M${x} ${y0 + down * off}V${y1 - down * (off + 6)}` });
    put("marks", "path", `hitc${n}`, "hit", { d: `M${x} ${y0 + down * off}V${y1}`, ...marked });
    put("marks", "path", `tip${n}`, `tip${style}`, { d: `M-4.5 ${-5 * down}H4.5L0 ${4 * down}Z`, xy: [x, y1 - down * (off + 4)] });
    if (last !== null && last !== first) put("marks", "path", `ret${n}`, `ret${style}`, { d: `M${z} ${y1 - down * off}V${y0 + down * off}` });
    const middle = (y0 + y1) / 2;
    const near = y1 - down * (height / 2 + 8);
    const long = via === "HMM" && unit > 16 ? `${name} (via HMM)` : name;
    const spots = [[x + 7, middle], [x - 7, middle, "end"], [x + 7, near], [x - 7, near, "end"]];
    label(`cn${n}`, long, `fn${when(first)}`, spots, "11px", asked);
  });
  for (const [from, to, , first] of run.calls) {
    if (yy[from] && yy[to]) taken.push([xx(first) - 5, Math.min(yy[from], yy[to]), xx(first) + 5, Math.max(yy[from], yy[to])]);
  }
  if (lane > 36) {
    run.marks.forEach(([name, kind, first, last, said, , depth], n) => {
      if (kind !== "lock" || depth || !yy[name] || !shown(first, last) || first < low) return;
      // Below the bars of the locks that it takes while it holds this one.
      const inner = run.marks.some(([who, one, start, , , , deep]) => one === "lock" && who === name && deep && start >= first && start <= (last ?? run.end) && xx(start) - unit / 2 < xx(first) + wide(said, "11px"));
      const below = yy[name] + height / 2 + (inner && lane > 48 ? 4 : 0);
      label(`ln${n}`, said, `ln${when(first)}`, [[xx(first) - unit / 2, below + 14], [xx(first) - unit / 2 - 4, below + 8, "end"]]);
    });
  }
  put("cursor", "path", "cursor", "cursor", { d: `M0 ${top - 2}V${foot + 3}`, xy: [xx(at), 0] });
  const whole = run.end > LONGEST;
  return { x0: whole ? 22 : xx(0), x1: whole ? W - 22 : xx(run.end), foot };
}

// -- the stage ------------------------------------------------------------------------------------------------------------

const KEY = [
  ["right", "right"],
  ["back", "taken back"],
  ["stale", "stale"],
  ["nopte", "no PTE: CPU faults"],
  ["ring", "changed now", "new"],
  ["hatch", "lost, or moving", "hurt"],
];
const KEYS = [
  ["← →", "a step back, a step on"],
  ["Home End", "to the beginning, to the end"],
  ["space", "play, and stop"],
  ["s", "spotlight: only what changed in this step stays bright"],
  ["d", "the driver's source beside the stage"],
  ["t", "all of it as text"],
  ["1 … 9", "follow page 0, 1, … all its way"],
  ["Tab, then arrows", "from cell to cell, from mark to mark; Enter unfolds a block, or goes to that step"],
  ["p", "present: one picture in big type; ↑ ↓ chain or timeline, f fills the screen"],
  ["Escape", "close what is open, stop following, stop presenting"],
  ["?", "these keys"],
];
/** Kinds of things whose names are not words. */
const NAMES = { pte: "PTE", nopte: "no PTE", back: "taken back", mmu: "IOMMU", maps: "slot to frame", hurt: "lost, leaked", dma: "written by DMA", ram: "main memory", fold: "block", link: "private link", range: "invalidation", new: "ring", differs: "diamond" };
const SIGN = { next: "▶ next: ", waits: "‖ waits ", rests: "· ", crashed: "✗ " };
const BADGE = { good: "✓", bad: "✗", wait: "!" };
let count = 0;

/**
 * One stage in `root`. `source` says what to show and hears what a person does:
 * get() -> {scene, run, moment, options, check}; go(step); send(message).
 * Options: `bare` (no bar of its own, no timeline: one of two), `saved` (no actions), `scenes`, `height`, `above` (pixels of what
 * shall be seen above it), `hidden` (what lies ahead is not shown). Returns {show, stop}.
 */
function makeStage(root, source) {
  const id = ++count;
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let state = source.get();
  let timer = 0;
  let pace = 1000;
  let spotlight = false;
  let driver = ""; // whose source is beside the stage
  let followed = "";
  let focused = "";
  let built = "";
  let view = {};
  const opened = new Set();

  root.classList.add("stage");
  root.dataset.lmSuppressShortcuts = "true";
  const bar = h("header", { class: "bar" });
  const badge = h("span", { class: "badge", "aria-hidden": "true" });
  const sentence = h("p");
  const who = h("div", { class: "who" });
  const said = h("div", { class: "said", role: "status" }, who, badge, sentence);
  const chainSvg = document.createElementNS(NS, "svg");
  chainSvg.setAttribute("class", "chain");
  chainSvg.setAttribute("role", "group");
  chainSvg.innerHTML = `<defs><pattern id="hatch${id}" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M0 0V5" class="hatching"/></pattern></defs>`;
  const key = h("div", { class: "key" });
  const now = h("ul", { class: "now", "aria-label": "now" });
  const laneSvg = document.createElementNS(NS, "svg");
  laneSvg.setAttribute("role", "group");
  const range = h("input", { type: "range", min: 0, "aria-label": "step" });
  const thumb = h("i", { class: "thumb", "aria-hidden": "true" });
  const lanes = h("div", { class: "lanes" }, laneSvg, range, thumb);
  const time = h("section", { class: "time", "aria-label": "timeline" }, now, lanes);
  const chips = h("ul", { class: "chips", "aria-label": "promises" });
  const check = h("button", { class: "check", title: "is there an order of events that breaks a rule?" }, "check every order");
  const counted = h("span", { class: "counted", "aria-hidden": "true" });
  const foot = h("footer", {}, chips, check, counted);
  const answer = h("div", { class: "answer" });
  const panel = h("div", { class: "panel", hidden: true, tabindex: -1 });
  const tip = h("div", { class: "told-of", id: `tip${id}`, role: "tooltip", hidden: true });
  const side = h("aside", { class: "side", hidden: true, "aria-label": "driver" });
  const main = h("div", { class: "main" }, said, chainSvg, key, time, foot);
  root.replaceChildren(bar, main, side, answer, panel, tip);
  let spotlit = false; // whether the spotlight was on before
  const present = presentMode(root, {
    begins() {
      spotlit = spotlight;
      spotlight = true;
      driver = "";
      closePanel();
      state.options.presented?.(true);
    },
    ends() {
      spotlight = spotlit;
      state.options.presented?.(false);
    },
    draw: () => render(true),
  });
  const tale = storyBox({ go: (number) => source.send({ beat: number }), present: (picture) => present.on && present.enter(picture) });
  main.prepend(tale.box);
  const questioned = questions(root, { choose: (choice) => source.send({ choose: choice }), playTo });
  const keepChain = keeper(chainSvg, ["bands", "rings", "ways", "tiles", "cells", "heads", "words"]);
  const keepLanes = keeper(laneSvg, ["bands", "cursor", "marks", "tops", "words"]);

  // -- what a person does -------------------------------------------------------------------------------------------------

  const at = () => state.moment.step;
  const act = (message) => source.send({ ...message, step: at() });
  const able = (q) => bar.querySelector(q)?.getAttribute("aria-disabled") !== "true";
  const forward = () => (state.options.saved || at() < state.run.end ? source.go(at() + 1) : able(".forward") && act({ do: "step" }));
  let goal = null; // the step at which playing stops, where that is not the last one
  const stopPlay = () => {
    clearInterval(timer);
    timer = 0;
    goal = null;
    root.classList.remove("playing");
    bar.querySelector(".play")?.setAttribute("aria-pressed", "false");
  };
  const play = () => {
    if (timer) return stopPlay();
    if (!state.run.end) return;
    if (at() >= state.run.end) source.go(0);
    root.classList.add("playing");
    bar.querySelector(".play")?.setAttribute("aria-pressed", "true");
    timer = setInterval(() => (at() < (goal ?? state.run.end) ? source.go(at() + 1) : stopPlay()), pace);
  };
  /** Play on to a step; at once for those who want no motion. */
  function playTo(step) {
    stopPlay();
    if (still.matches || at() >= step) return source.go(step);
    play();
    goal = step;
  }

  function buildBar() {
    const { scene, run, options } = state;
    const wanted = JSON.stringify([scene.name, scene.actions, run.knobs, options]);
    if (wanted === built) return;
    built = wanted;
    delete bar.dataset.width; // what has room in it is found out anew
    const walk = h(
      "span",
      { class: "walk" },
      h("button", { class: "back", title: "back (←)", "aria-label": "back", onclick: () => source.go(at() - 1) }, "◀"),
      h("button", { class: "forward", title: "one step (→)", onclick: forward }, "step ▶"),
      options.saved
        ? h("button", { class: "rest", title: "to the end (End)", onclick: () => source.go(run.end) }, "end")
        : h("button", { class: "rest", title: "run on: everybody, until nobody can go on", onclick: () => able(".rest") && act({ do: "run on" }) }, "run on"),
      h("button", { class: "play", title: "play (space)", "aria-label": "play", "aria-pressed": "false", onclick: play }),
      h("output", {}),
    );
    if (options.bare) {
      bar.hidden = true;
      return;
    }
    const name = options.scenes
      ? h("select", { class: "scene", "aria-label": "scene", title: scene.title, onchange: (e) => act({ scene: e.target.value }) })
      : h("b", { class: "scene", title: scene.title }, scene.name);
    for (const one of options.scenes ?? []) name.append(h("option", { selected: one === scene.name }, one));
    if (options.scenes && !options.scenes.includes(scene.name)) name.prepend(h("option", { selected: true }, scene.name));
    const knob = run.knobs.find(([one]) => ["importer", "driver", "policy"].includes(one));
    const choose = [];
    if (knob && options.saved) choose.push(h("span", { class: "setting" }, `${knob[0]}: ${knob[3]}`));
    else if (knob) {
      const [one, help, choices, value] = knob;
      const radio = (choice) =>
        h("button", { role: "radio", "aria-checked": String(choice === value), title: help, onclick: () => act({ knob: [one, choice] }) }, choice);
      choose.push(h("span", { class: "seg", role: "radiogroup", "aria-label": one }, h("em", {}, one), ...choices.map(radio)));
      const pick = h("select", { class: "pick", "aria-label": one, title: help, onchange: (e) => act({ knob: [one, e.target.value] }) });
      for (const choice of choices) pick.append(h("option", { selected: choice === value }, choice));
      choose.push(pick);
    }
    const acts = h("span", { class: "acts", role: "group", "aria-label": "actions" });
    if (!options.saved) {
      for (const [one, label, help] of scene.actions) acts.append(h("button", { "data-act": one, "data-help": help, onclick: () => press(one) }, label));
    }
    const more = options.drawer && h("button", { class: "more", title: "other actions, knobs, order, token, files, more pictures", "aria-expanded": "false", onclick: drawer }, "more ▾");
    bar.replaceChildren(name, ...choose, acts, ...(more ? [more] : []), walk);
  }

  function press(action) {
    const why = state.moment.why[action];
    if (why) return tell(`Not now: ${why}.`);
    act({ press: action });
  }

  function drawer() {
    const open = root.closest(".p2plab-lab")?.classList.toggle("open") ?? false;
    bar.querySelector(".more").setAttribute("aria-expanded", String(open));
    source.send({ drawer: open });
    const box = root.closest(".p2plab-lab")?.querySelector(".p2plab-drawer");
    if (open) box?.querySelector("[role='tab'], button, select, input")?.focus({ preventScroll: true });
    else bar.querySelector(".more").focus({ preventScroll: true });
  }
  // In the drawer, too, the notebook's one-letter shortcuts must not see what is typed; Escape closes it.
  setTimeout(() => {
    const lab = root.closest(".p2plab-lab");
    if (!lab || lab.dataset.p2plabKeys) return;
    if (state.options.bare) nameSliders(lab);
    lab.dataset.p2plabKeys = "kept";
    lab.addEventListener("keydown", (event) => {
      if (root.contains(event.target)) return;
      if (event.key === "Escape") {
        if (lab.classList.contains("open")) drawer();
        else event.target.closest(".jp-Cell")?.focus();
        event.stopPropagation();
      } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
    });
  });

  function tell(words) {
    openPanel("note", h("p", { role: "status" }, words));
  }

  // -- panels over the stage: text, keys, a rule -----------------------------------------------------------------------------

  function openPanel(kind, ...children) {
    const again = !panel.hidden && panel.dataset.kind === kind && kind !== "note";
    closePanel();
    if (again) return;
    panel.dataset.kind = kind;
    panel.className = `panel ${kind.split(" ")[0]}`;
    panel.replaceChildren(h("button", { class: "close", "aria-label": "close", onclick: closePanel }, "×"), ...children);
    panel.hidden = false;
    if (kind !== "note") panel.focus({ preventScroll: true });
  }
  function closePanel() {
    const inside = panel.contains(document.activeElement);
    panel.hidden = true;
    if (inside) (chainSvg.querySelector("[tabindex='0']") ?? root).focus({ preventScroll: true });
  }

  const openText = () => openPanel("text", h("h2", {}, `Step ${at()} as text`), h("pre", { tabindex: 0 }, textOf(state.moment)));

  function openKeys() {
    const rows = KEYS.map(([name, what]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, what)));
    const pick = h("select", { onchange: (e) => setPace(PACES[e.target.value]) });
    for (const [name, value] of Object.entries(PACES)) pick.append(h("option", { selected: value === pace }, name));
    const terms = Object.entries(state.scene.terms).map(([kind, [what, pieces]]) =>
      h("tr", {}, h("th", { scope: "row" }, NAMES[kind] ?? kind.split(":").at(-1)), h("td", {}, what, " ", h("span", { class: "source" }, ...sourced(pieces)))),
    );
    openPanel(
      "keys",
      h("h2", {}, "Keys"),
      h("table", {}, ...rows),
      h("p", {}, h("label", {}, "play: a step every ", pick)),
      h("h2", {}, "What is on the stage, and where it is written"),
      h("table", { class: "terms" }, ...terms),
    );
  }
  function setPace(value) {
    pace = value;
    if (timer) {
      stopPlay();
      play();
    }
  }

  function ruleCard(name) {
    const [promise, from, stated, number, , played] = state.scene.rules[name] ?? ["", [], "", 0, "", ""];
    const chip = state.moment.chips.find(([rule]) => rule === name);
    const how = chip ? `${chip[1] === "price" ? "paid" : "broken"} at step ${chip[2]}: ${chip[3]}` : state.moment.kept.includes(name) ? "kept so far" : "nothing could have broken it yet";
    return h(
      "section",
      {},
      h("h2", {}, name, number ? ` (invariant ${number})` : ""),
      h("p", {}, h("b", {}, "Promise: "), promise, "."),
      h("p", {}, h("b", {}, "Here: "), how, "."),
      h("p", {}, h("b", {}, "Source: "), ...sourced(from), `, ${stated}.`),
      ...(played ? [h("p", {}, h("b", {}, "On a real kernel: "), `${played}.`)] : []),
    );
  }
  function openLinux() {
    const { lines, source } = state.scene.linux;
    const rows = lines.map(([name, words], n) => h("tr", {}, h("th", { scope: "row" }, n && lines[n - 1][0] === name ? "" : name), h("td", {}, words)));
    openPanel("rule linux", h("h2", {}, "This scene on a real kernel"), h("table", {}, ...rows), h("p", {}, h("b", {}, "Source: "), h("code", {}, source)));
  }
  function openRule(name, step) {
    openPanel(`rule ${name}`, ruleCard(name));
    if (step !== undefined && step !== at()) source.go(step);
  }

  // -- asking: what is this, and where is that written? -----------------------------------------------------------------------

  /** A source in pieces: mails are links, all else is code. A run may come in a link: no other address becomes one. */
  const sourced = (pieces) => pieces.map(([text, url]) => (String(url).startsWith("https://lore.kernel.org/") ? h("a", { href: url, target: "_blank", rel: "noopener" }, `mail <${text}>`) : h("code", {}, text)));

  /** What a kind of thing is, and its source in pieces. A promise is named by the rule. */
  function term(kind) {
    if (kind.startsWith("rule:")) return state.scene.rules[kind.slice(5)] ?? ["", []];
    const { terms, linux } = state.scene;
    if (kind === "linux") return [linux.lines.map(([name, words]) => `${name}: ${words}`).join(" "), [[linux.source, ""]]];
    return terms[kind] ?? terms[kind.split(":")[0]] ?? ["", []];
  }

  let asked = null; // the element that is being asked
  let asking = 0;
  /** Show what an element is, beside it or at the pointer; null hides it. */
  function ask(element, x, y) {
    clearTimeout(asking);
    asked?.removeAttribute("aria-describedby");
    asked = element;
    tip.hidden = !element;
    if (!element) return;
    const [what, pieces] = term(element.dataset.ask);
    tip.replaceChildren(h("b", {}, element.dataset.said), h("span", {}, what), h("span", { class: "source" }, ...sourced(pieces)));
    if (element.matches(".cell, [data-at], button, input")) element.setAttribute("aria-describedby", tip.id);
    const home = root.getBoundingClientRect();
    const box = element.getBoundingClientRect();
    const middle = ((x ?? box.left + box.width / 2) - home.left) / zoom;
    const [above, below] = [((y ?? box.top) - home.top) / zoom - 8, ((y ?? box.bottom) - home.top) / zoom + (y ? 18 : 8)];
    const over = below + tip.offsetHeight > root.clientHeight - 4 && above - tip.offsetHeight > 0;
    tip.style.left = `${Math.max(8, Math.min(middle - tip.offsetWidth / 2, root.clientWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(0, over ? above - tip.offsetHeight : below)}px`;
  }
  const onPoint = (event) => {
    const element = event.pointerType === "touch" ? null : event.target.closest?.("[data-ask]");
    if (element === asked) return;
    clearTimeout(asking);
    if (!element || asked) ask(null);
    // A line has no middle of its own that could be near: the pointer says where.
    const line = element?.matches("path, rect.act") ? [event.clientX, event.clientY] : [];
    if (element) asking = setTimeout(() => ask(element, ...line), 150);
  };

  // -- following, spotlight ---------------------------------------------------------------------------------------------------

  function light() {
    const start = followed || focused;
    if (!start && !spotlight && !chainSvg.classList.contains("follow") && !root.classList.contains("spotlight")) return;
    const lit = new Set(start ? [start] : []);
    const ways = [...chainSvg.querySelectorAll("[data-a]")];
    for (const [from, to] of [["a", "b"], ["b", "a"]]) {
      let edge = [start];
      while (start && edge.length) {
        edge = ways.filter((w) => edge.includes(w.dataset[from]) && !lit.has(w.dataset[to])).map((w) => w.dataset[to]);
        edge.forEach((k) => lit.add(k));
      }
    }
    chainSvg.classList.toggle("follow", Boolean(start));
    for (const w of ways) w.classList.toggle("lit", lit.has(w.dataset.a) && lit.has(w.dataset.b));
    for (const c of chainSvg.querySelectorAll(".cell")) c.classList.toggle("lit", lit.has(c.dataset.k));
    const bright = new Set(spotlight ? [...chainSvg.querySelectorAll(".cell.new")].map((c) => c.dataset.k) : []);
    for (const w of ways) w.classList.toggle("bright", w.classList.contains("beat") || bright.has(w.dataset.a) || bright.has(w.dataset.b));
    // On a projector a step that changes nothing of the chain leaves all of it bright.
    root.classList.toggle("spotlight", spotlight && !(present.on && !bright.size && !ways.some((w) => w.classList.contains("bright"))));
  }
  function follow(k) {
    followed = followed === k ? "" : k;
    light();
  }
  function followPage(number) {
    const name = state.moment.groups[0].cells[number]?.k;
    if (name) follow(name);
  }
  function press_cell(k) {
    const block = view.blocks?.get(k);
    if (!block) return follow(k);
    if (block.in) {
      if (opened.has(k)) opened.delete(k);
      else opened.add(k);
      render(true);
    } else source.send({ unfold: k });
  }

  // -- the driver's source beside the stage -----------------------------------------------------------------------------------

  function toggleDriver(name) {
    const names = Object.keys(state.scene.drivers);
    // The driver in which this step began, the innermost one; else an importer.
    const lit = names.filter((one) => state.moment.drivers[one][0].length);
    const wanted = name ?? (driver ? "" : (lit.at(-1) ?? names.at(-1)));
    const inside = side.contains(document.activeElement);
    driver = wanted === driver ? "" : wanted;
    render(true);
    if (driver) side.querySelector("select")?.focus({ preventScroll: true });
    else if (inside) (chainSvg.querySelector("[tabindex='0']") ?? root).focus({ preventScroll: true });
  }
  function showDriver(top) {
    side.hidden = !driver;
    if (!driver) return;
    side.style.top = root.classList.contains("wide") ? "" : top;
    const names = Object.keys(state.scene.drivers);
    if (!names.includes(driver)) driver = names.at(-1);
    const sections = state.scene.drivers[driver];
    const [lit, waits, attributes] = state.moment.drivers[driver];
    const is = (places, section, line) => places.some(([s, l]) => s === section && l === line);
    const pick = h("select", { "aria-label": "driver", onchange: (e) => ((driver = e.target.value), render(true)) });
    for (const name of names) pick.append(h("option", { selected: name === driver }, name));
    const code = h("div", { class: "code", tabindex: 0, role: "region", "aria-label": `source of ${driver}` });
    sections.forEach(([title, file, first, lines], s) => {
      code.append(h("div", { class: "file" }, h("b", {}, title), ` ${file}`));
      lines.forEach((line, n) => {
        const [now, later] = [is(lit, s, first + n), is(waits, s, first + n)];
        const mark = now ? "▶" : later ? "‖" : "";
        const style = `${now ? "lit" : ""} ${later ? "waits" : ""}`.trim();
        code.append(h("div", { class: `line ${style}`, title: now ? "this step began here" : later ? "its code waits here now" : undefined }, h("i", {}, mark), h("span", { class: "no" }, String(first + n)), h("code", {}, line || " ")));
      });
    });
    if (!sections.length) code.append(h("p", {}, "Python has no source of this class."));
    const table = h("table", {});
    for (const [name, value, was] of [...attributes].sort((a, b) => (b[2] !== null) - (a[2] !== null))) {
      table.append(h("tr", { class: was !== null ? "new" : "" }, h("th", { scope: "row" }, name), h("td", { title: value }, value, was !== null ? h("s", { title: `was ${was}` }, was) : "")));
    }
    const legend = h("p", { class: "legend" }, h("span", { class: "lit" }, "▶ this step began here"), h("span", { class: "waits" }, "‖ waits here now"));
    const held = side.querySelector(".code")?.scrollTop ?? 0;
    const hadFocus = side.contains(document.activeElement);
    side.replaceChildren(h("header", {}, pick, legend, h("button", { class: "close", "aria-label": "close the source", onclick: () => toggleDriver("") }, "×")), code, h("div", { class: "attributes", tabindex: 0, role: "region", "aria-label": `attributes of ${driver}` }, table));
    if (hadFocus) pick.focus({ preventScroll: true });
    code.scrollTop = held;
    const mark = code.querySelector(".lit") ?? code.querySelector(".waits");
    if (mark) {
      const y = mark.offsetTop - code.offsetTop;
      if (y < code.scrollTop + 20 || y > code.scrollTop + code.clientHeight - 40) code.scrollTop = Math.max(0, y - code.clientHeight / 3);
    }
  }

  // -- drawing ----------------------------------------------------------------------------------------------------------------

  let zoom = 1; // on a large screen all of it is larger
  let ended = {}; // where the stage ended in a box of this size
  const variables = {};
  /** Set a variable of the style sheet: only if it changes, for all that is in the stage gets its style anew. */
  function setVariable(name, value) {
    if (variables[name] !== value) root.style.setProperty(name, (variables[name] = value));
  }

  /** How high the stage may be: as high as what it scrolls in, or the window. */
  function room() {
    if (state.options.height) return state.options.height;
    const above = state.options.above ?? 0;
    let box = (root.closest(".jp-Cell") ?? root).parentElement;
    while (box && box !== document.body) {
      const flow = getComputedStyle(box).overflowY;
      if ((flow === "auto" || flow === "scroll") && box.clientHeight > 300 && box.clientHeight < innerHeight) return Math.min(box.clientHeight - 14, TALLEST) - above;
      box = box.parentElement;
    }
    return Math.min(innerHeight - (state.options.saved ? 0 : 12), TALLEST) - above;
  }

  function render(quiet) {
    state = source.get();
    const { scene, run, moment: m, options } = state;
    if (!root.clientWidth) return; // not in the page, or hidden: there will be another size
    const high = present.on ? innerHeight : room();
    const larger = !present.on && !options.bare && root.clientWidth * zoom >= LARGE[0] && high >= LARGE[1] ? ZOOM : 1;
    if (larger !== zoom) root.style.zoom = zoom = larger;
    const W0 = root.clientWidth; // in the stage's own pixels, as all that follows
    const H = high / zoom;
    const scale = present.scale;
    root.dataset.present = present.on;
    root.style.setProperty("--scale", scale);
    const beside = driver && W0 >= 1180;
    root.classList.toggle("beside", Boolean(driver));
    root.classList.toggle("wide", W0 >= 1180);
    const W1 = beside ? W0 - 412 : W0;
    const phone = W1 < 600;
    const left = options.beat ? H - 90 : H; // a story's words take the rest
    const mmu = m.groups.some((group) => group.mmu);
    const size = phone ? "phone" : options.bare || present.on ? "small" : W1 < 1000 || left < 660 ? (run.lanes.length > 4 || mmu || left < 560 ? "small" : "tight") : "roomy";
    const g = { ...SIZES[size] };
    if (size === "roomy" && H > 800 && !options.bare) {
      const spare = Math.min(300, H - 800);
      Object.assign(g, { z1: g.z1 + spare * 0.3, z2: g.z2 + spare * 0.2, u: g.u + spare * 0.06, s: g.s + spare * 0.06, f: g.f + spare * 0.08 });
    }
    root.classList.toggle("still", Boolean(quiet));
    root.classList.toggle("boxed", !phone && !options.bare);
    for (const name in SIZES) root.classList.toggle(name, name === size);
    const box = `${W0} ${H} ${size}`;
    setVariable("--height", phone || options.bare ? "auto" : present.on ? "100vh" : ended.box === box ? ended.at : `${Math.max(H, 480)}px`);
    buildBar();
    showBar(m, run, options, W0);
    tale.show(options.beat);
    said.className = `said ${m.said[2]}`;
    badge.textContent = BADGE[m.said[2]] ?? "";
    sentence.replaceChildren(`${m.said[0]} `, h("b", {}, m.said[1]));
    who.hidden = !options.bare;
    if (options.bare) who.replaceChildren(h("b", { title: options.title }, options.title), h("span", {}, options.refused || `step ${m.step} of ${run.end}`));
    said.title = `${m.said[0]} ${m.said[1]}`;
    sentence.style.fontSize = "";
    // Only what could be longer than two lines is measured.
    const long = present.on || wide(said.title, "bold 16.5px") > 1.5 * (W1 - 100 - (options.bare ? 220 : 0));
    if (!phone && long && sentence.scrollHeight > said.clientHeight + 2) sentence.style.fontSize = "13px";
    showKey();
    showChips(m, options, `${W1} ${size} ${present.on}`);
    showAnswer();

    time.hidden = present.on ? present.on !== "time" : Boolean(options.bare);
    chainSvg.toggleAttribute("hidden", present.on === "time");
    // All that is measured is measured here, before the pictures change: the browser lays the page out once, not three times.
    const W = chainSvg.clientWidth / scale;
    const wideLanes = laneSvg.clientWidth / scale;
    const picture = H - tale.box.offsetHeight - said.offsetHeight - foot.offsetHeight - 16 * scale; // pixels that one picture may have, presented
    if (present.on && !phone) present.grow(g, picture / scale, chainHeight(g, mmu));
    const height = chainHeight(g, mmu);
    const used = bar.offsetHeight + tale.box.offsetHeight + said.offsetHeight + height + key.offsetHeight + foot.offsetHeight + 16 + 22 + (phone ? 130 : 9);
    const top = `${key.offsetTop + key.offsetHeight + 4 + height - chainSvg.clientHeight}px`; // where the source begins, if it does
    chainSvg.setAttribute("height", present.on && !phone ? picture : height);
    if (scale !== 1) chainSvg.setAttribute("viewBox", `0 0 ${W} ${height}`);
    else chainSvg.removeAttribute("viewBox");
    chainSvg.setAttribute("aria-label", m.alt);
    view = { moment: m, scene, run, step: m.step, width: W, size, g, id, opened, differs: options.differs && new Set(options.differs), hidden: options.hidden };
    view.blocks = new Map([...m.groups.flatMap((group) => group.cells), ...m.slots, ...m.frames].filter((c) => /fold/.test(c.c)).map((c) => [c.k, c]));
    if (present.on !== "time") keepChain((put) => drawChain(put, view));
    const cells = [...chainSvg.querySelectorAll(".cell")];
    if (!cells.some((c) => c.tabIndex === 0) && cells.length) cells[0].tabIndex = 0;
    light();
    if (!quiet && !still.matches) fly();

    let placed;
    showDriver(top);
    if (present.on === "time") {
      const lane = Math.min(110, (picture / scale - 42) / run.lanes.length);
      setVariable("--lane", `${lane * scale}px`);
      root.classList.toggle("thin", lane < 31);
      root.classList.toggle("tall", lane >= 48);
      showNow(m, run, phone);
      keepLanes((put) => (placed = drawLanes(put, view, wideLanes, lane)));
      laneSvg.setAttribute("height", (placed.foot + 22) * scale);
      laneSvg.setAttribute("viewBox", `0 0 ${wideLanes} ${placed.foot + 22}`);
    } else if (!options.bare && !present.on) {
      laneSvg.removeAttribute("viewBox");
      const lane = Math.max(phone ? 26 : 20, Math.min(phone ? 34 : H > 900 ? 90 : zoom > 1 ? 80 : 60, Math.floor((H - used) / run.lanes.length)));
      setVariable("--lane", `${lane}px`);
      // In a window much higher than all that there is, the stage ends where its last row does.
      const all = used + lane * run.lanes.length + 6;
      if (!phone) ended = { box, at: `${Math.max(all < H - 40 ? all : H, 480)}px` };
      if (!phone) setVariable("--height", ended.at);
      root.classList.toggle("thin", !phone && lane < 31);
      root.classList.toggle("tall", !phone && lane >= 48);
      showNow(m, run, phone);
      keepLanes((put) => (placed = drawLanes(put, view, wideLanes, lane)));
      laneSvg.setAttribute("height", placed.foot + 22);
      laneSvg.setAttribute("aria-label", `sequence diagram of ${run.end} steps: ${run.calls.length} calls, ${run.breaks.length} promises broken`);
      const marks = [...laneSvg.querySelectorAll("[data-at]")];
      for (const one of marks) if (!one.hasAttribute("tabindex")) one.setAttribute("tabindex", -1);
      const held = marks.find((one) => one === document.activeElement);
      const first = held ?? laneSvg.querySelector(".step.here") ?? marks[0];
      for (const one of marks) if (one !== first && one.getAttribute("tabindex") === "0") one.setAttribute("tabindex", -1);
      first?.setAttribute("tabindex", 0);
      range.max = run.end;
      range.value = m.step;
      range.disabled = !run.end;
      range.style.cssText = `left:${placed.x0 - 15}px;width:${placed.x1 - placed.x0 + 30}px;top:${placed.foot + 2}px`;
      range.setAttribute("aria-valuetext", `step ${m.step} of ${run.end}: ${m.said[0]}`);
      thumb.textContent = m.step;
      thumb.style.cssText = `left:${placed.x0 + ((placed.x1 - placed.x0) * m.step) / (run.end || 1)}px;top:${placed.foot + 2}px`;
    }
    questioned.mark(state.asked, run, present.on ? null : placed);
    if (asked?.isConnected) ask(asked);
    else ask(null);
    if (panel.dataset.kind === "text" && !panel.hidden) panel.querySelector("pre").textContent = textOf(m);
    // Tests and benchmarks wait for this; it is set once the browser has had a chance to paint.
    requestAnimationFrame(() => {
      root.dataset.step = m.step;
      root.dataset.seq = Number(root.dataset.seq ?? 0) + 1;
    });
  }

  function showBar(m, run, options, room) {
    if (options.bare) return;
    const find = (q) => bar.querySelector(q);
    counted.textContent = `step ${m.step} of ${run.end}`;
    find("output").replaceChildren(h("b", {}, String(m.step)), ` of ${run.end}`);
    for (const button of bar.querySelectorAll("[data-act]")) {
      const why = m.why[button.dataset.act];
      button.setAttribute("aria-disabled", String(Boolean(why)));
      button.title = why ? `not now: ${why}` : button.dataset.help;
      button.classList.toggle("best", !why && m.best === button.dataset.act && m.step === run.end);
    }
    const ahead = m.step < run.end;
    find(".forward").classList.toggle("best", ahead || m.best === "step");
    // Not `disabled`: a button that has the focus would lose it at the last step.
    const off = (q, is) => find(q).setAttribute("aria-disabled", String(is));
    const goes = m.now.some(([, , condition]) => condition === "next");
    off(".forward", !ahead && (Boolean(options.saved) || !goes));
    off(".rest", !ahead && (Boolean(options.saved) || !goes));
    off(".back", !m.step);
    off(".play", !run.end);
    check.classList.toggle("best", !ahead && m.best === "check");
    // The count of a long run has room for its last step from the beginning, so that the bar fits at every step.
    const digits = Math.max(2, String(run.end).length);
    if (bar.dataset.width === `${room} ${digits}`) return;
    bar.dataset.width = `${room} ${digits}`;
    find("output").style.minWidth = digits > 2 ? `${2 * digits + 4}ch` : "";
    bar.className = "bar";
    for (const button of bar.querySelectorAll("[data-act]")) button.hidden = false;
    for (const style of ["d1", "d2"]) if (bar.scrollWidth > bar.clientWidth) bar.classList.add(style);
    const acts = [...bar.querySelectorAll("[data-act]")];
    // What has no room is in the drawer; what the story needs stays longest.
    while (bar.scrollWidth > bar.clientWidth && acts.length > 3) {
      const other = acts.findLastIndex((button) => !STORY.has(button.dataset.act));
      const [last] = acts.splice(other < 0 ? acts.length - 1 : other, 1);
      last.hidden = true;
    }
    if (bar.scrollWidth > bar.clientWidth) bar.classList.add("d3");
  }

  function showKey() {
    if (key.childElementCount) {
      key.querySelector(".spot")?.setAttribute("aria-pressed", String(spotlight));
      key.querySelector(".src")?.setAttribute("aria-pressed", String(Boolean(driver)));
      return;
    }
    const sample = (style) =>
      `<svg width="${/ring|hatch/.test(style) ? 14 : 26}" height="10" aria-hidden="true">${
        /ring|hatch/.test(style) ? `${style === "hatch" ? '<rect x="1.5" y="1" width="11" height="8" rx="2" class="under"/>' : ""}<rect x="1.5" y="1" width="11" height="8" rx="2" class="${style}"${style === "hatch" ? ` style="fill:url(#hatch${id})"` : ""}/>` : `<path d="M0 5H26" class="${style}"/>`
      }</svg>`;
    const marks = KEY.map(([style, words, kind]) => {
      const made = h("span", asks(kind ?? style, words));
      made.innerHTML = sample(style);
      made.append(words);
      return made;
    });
    const tools = h(
      "span",
      { class: "tools" },
      h("button", { class: "spot", title: "only what changed in this step stays bright (s)", "aria-pressed": "false", onclick: () => toggleSpotlight() }, "spotlight"),
      h("button", { class: "presents", title: "one picture in big type, for a projector (p)", onclick: () => present.enter(tale.picture) }, "present"),
      h("button", { class: "src", title: "the driver's source beside the stage (d)", "aria-pressed": "false", onclick: () => toggleDriver() }, "source"),
      h("button", { title: "all of it as text (t)", onclick: openText }, "text"),
      h("button", { title: "keys (?)", onclick: openKeys }, "keys"),
    );
    key.replaceChildren(...marks, ...(state.options.bare ? [] : [tools]));
  }
  function toggleSpotlight() {
    spotlight = !spotlight;
    showKey();
    light();
  }

  function showChips(m, options, room) {
    const wanted = JSON.stringify([m.chips, m.kept, m.idle, options.bare, options.check, room, state.scene.name]);
    if (chips.dataset.shown === wanted) return;
    chips.dataset.shown = wanted;
    const made = m.chips.map(([rule, kind, step, why], n) =>
      h(
        "li",
        { class: kind },
        h("button", { ...asks(`rule:${rule}`, `${rule}, step ${step}: ${why}`), onclick: () => openRule(rule, step) }, kind === "price" ? "price " : "✗ ", h("b", {}, rule), h("span", { class: "long" }, ` step ${step}`), n ? "" : h("span", { class: "why" }, why)),
      ),
    );
    for (const [list, sign, words, style] of [[m.kept, "✓", "kept", "kept"], [m.idle, "○", "not exercised", "idle"]]) {
      if (list.length) made.push(h("li", { class: style }, h("button", { title: list.join(", "), onclick: () => openPanel(`rules ${style}`, ...list.map(ruleCard)) }, `${sign} ${list.length}`, h("span", { class: "long" }, ` ${words}`))));
    }
    const { linux } = state.scene;
    if (linux && !options.bare) {
      const [kernel, found] = linux.chip.split(": ");
      made.push(h("li", { class: `linux ${linux.tone}` }, h("button", { ...asks("linux", `on a real kernel: ${linux.chip}`), onclick: openLinux }, kernel, h("span", { class: "long" }, `: ${found}`))));
    }
    check.hidden = Boolean(options.saved || options.bare || !options.check);
    chips.className = "chips";
    chips.replaceChildren(...made);
    const full = () => chips.scrollWidth > chips.clientWidth + 1;
    if (full()) chips.classList.add("brief");
    // What still has no room is behind one chip, from the last one on.
    const rest = [];
    const more = h("li", { class: "broken" }, h("button", { onclick: () => openPanel("rules broken", ...rest.map(ruleCard)) }));
    for (let n = m.chips.length - 1; n > 1 && full(); n--) {
      rest.unshift(m.chips[n][0]);
      more.firstChild.textContent = `✗ ${rest.length} more`;
      made[n].replaceWith(more);
    }
  }

  function showAnswer() {
    const said = state.check;
    answer.hidden = !said?.words;
    if (answer.hidden) return;
    answer.className = `answer ${said.tone ?? ""}`;
    const stop = said.running ? h("button", { onclick: () => act({ do: "cancel" }) }, "cancel") : h("button", { "aria-label": "close", onclick: () => act({ do: "close" }) }, "×");
    answer.replaceChildren(h("p", { role: said.tone === "bad" ? "alert" : "status", "data-view": "check" }, said.words), stop);
  }

  function showNow(m, run, phone) {
    const wanted = JSON.stringify([m.now, phone, run.lanes]);
    if (now.dataset.shown === wanted) return;
    now.dataset.shown = wanted;
    const roles = Object.fromEntries(run.lanes);
    const rest = m.now.filter(([, , condition]) => condition === "rests").map(([name]) => name);
    const rows = m.now.filter(([, , condition]) => !phone || condition !== "rests");
    const made = rows.map(([name, inside, condition, words, locks]) => {
      const all = `${name}${inside ? `, ${inside}` : ""}: ${SIGN[condition]}${words}${locks.length ? `; holds ${locks.join(", ")}` : ""}`;
      return h(
        "li",
        { class: condition, ...asks(roles[name] || "step", all) },
        h("b", {}, name),
        h("span", { class: "role" }, inside || roles[name]),
        h("span", { class: "locks" }, locks.length ? "holds " : "", ...[...locks].reverse().map((lock) => h("i", {}, lock))),
        h("div", { class: "what" }, `${SIGN[condition]}${words}`),
      );
    });
    if (phone && rest.length) made.push(h("li", { class: "rests" }, h("div", { class: "what" }, `· ${rest.join(", ")}: nothing to do`)));
    now.replaceChildren(...made);
  }

  /** A beat that landed in this step is seen to travel: from the table through the slot into the frame. */
  function fly() {
    const paths = view.flights ?? [];
    if (!paths.length) return;
    const dot = document.createElementNS(NS, "circle");
    dot.setAttribute("r", 6);
    dot.setAttribute("class", `flying ${paths[0][2]}`);
    chainSvg.append(dot);
    const points = paths.flatMap(([, d]) => {
      const path = document.createElementNS(NS, "path");
      path.setAttribute("d", d);
      const length = path.getTotalLength();
      return Array.from({ length: 9 }, (_, n) => path.getPointAtLength((length * n) / 8));
    });
    const frames = points.map(({ x, y }) => ({ transform: `translate(${x}px,${y}px)` }));
    const flight = dot.animate(frames, { duration: 250, easing: "ease-in" });
    flight.onfinish = flight.oncancel = () => dot.remove();
  }

  // -- listening ----------------------------------------------------------------------------------------------------------------

  const onClick = (event) => {
    const cell = event.target.closest?.(".chain .cell");
    if (cell) return press_cell(cell.dataset.k);
    const way = event.target.closest?.(".chain .way");
    if (way) return follow(way.dataset.a);
    const goes = event.target.closest?.("[data-go]");
    if (goes) source.go(Number(goes.dataset.go));
    else if (event.target.closest?.(".chain") && followed) follow(followed);
  };
  const onFocus = (event) => {
    const seen = event.type === "focusin" && event.target.matches(":focus-visible");
    focused = seen && event.target.matches(".cell") ? event.target.dataset.k : "";
    ask(seen && event.target.matches("[data-ask]") ? event.target : null);
    light();
  };
  const go = {
    ArrowRight: forward,
    ArrowLeft: () => source.go(at() - 1),
    Home: () => source.go(0),
    End: () => source.go(state.run.end),
    " ": play,
    s: toggleSpotlight,
    d: () => present.on || toggleDriver(),
    t: openText,
    p: () => state.options.bare || present.enter(tale.picture),
    PageDown: () => present.on && (state.options.beat ? tale.turn(1) : forward()),
    PageUp: () => present.on && (state.options.beat ? tale.turn(-1) : source.go(at() - 1)),
    "?": openKeys,
  };
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    const typing = target.matches("input:not([type=range]), textarea, select");
    const cell = target.closest(".cell");
    const direction = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    // The notebook's own one-letter shortcuts (m, d d …) must not see what is typed here.
    if (event.key.length === 1 || direction || event.key === "Enter") event.stopPropagation();
    if (event.key === "Escape") {
      if (!panel.hidden) closePanel();
      else if (present.on) present.leave();
      else if (asked) ask(null);
      else if (root.closest(".p2plab-lab")?.classList.contains("open")) drawer();
      else if (driver) toggleDriver("");
      else if (followed) follow(followed);
      else {
        const box = root.closest(".jp-Cell");
        target.blur();
        box?.focus();
      }
      event.stopPropagation();
      return event.preventDefault();
    }
    if (typing || target.closest(".panel, .side .code, .attributes")) return;
    if (!(cell && direction) && present.key(event)) return event.preventDefault();
    if (cell && direction) {
      walk(cell, direction);
      return event.preventDefault();
    }
    const marked = target.closest(".lanes [data-at]");
    if (marked && direction) {
      walkMarks(marked, direction);
      return event.preventDefault();
    }
    if (marked && event.key === "Enter") {
      source.go(Number(marked.dataset.go));
      return event.preventDefault();
    }
    if (cell && (event.key === "Enter" || (event.key === " " && view.blocks?.has(cell.dataset.k)))) {
      press_cell(cell.dataset.k);
      return event.preventDefault();
    }
    if (/^[1-9]$/.test(event.key)) return followPage(Number(event.key) - 1);
    if (target.matches("input[type=range]") && /^Arrow|Home|End/.test(event.key)) return;
    if (event.key === " " && target.matches("button")) return;
    if (go[event.key]) {
      event.preventDefault();
      go[event.key]();
    }
  };

  /** From a cell to the nearest one in a direction. */
  function walk(cell, [dx, dy]) {
    const centre = (node) => {
      const box = node.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    };
    const [x, y] = centre(cell);
    let least = Infinity;
    // Up and down follow the cell's own way, where it has one; else the nearest cell of the next row.
    const [from, to] = dy > 0 ? ["a", "b"] : ["b", "a"];
    const way = dy ? [...chainSvg.querySelectorAll(".way")].find((w) => w.dataset[from] === cell.dataset.k && w.dataset[to]) : null;
    let best = way ? chainSvg.querySelector(`.cell[data-k="${CSS.escape(way.dataset[to])}"]`) : null;
    for (const other of best ? [] : chainSvg.querySelectorAll(".cell")) {
      const [u, v] = centre(other);
      const ahead = (u - x) * dx + (v - y) * dy;
      const aside = Math.abs((u - x) * dy) + Math.abs((v - y) * dx);
      if (ahead <= 4 || (dx && aside > 8)) continue;
      if (ahead + aside < least) [best, least] = [other, ahead + aside];
    }
    if (best) moveTo(best, chainSvg);
  }

  /** From a mark of the timeline along its lane in the order of steps, or to what is nearest in time in the next lane. */
  function walkMarks(mark, [dx, dy]) {
    const lane = Number(mark.dataset.lane);
    const when = Number(mark.dataset.at);
    const marks = [...laneSvg.querySelectorAll("[data-at]")].sort((a, b) => a.dataset.at - b.dataset.at);
    const of = (one) => marks.filter((other) => Number(other.dataset.lane) === one);
    let best = null;
    if (dx) {
      const own = of(lane);
      best = own[own.indexOf(mark) + dx];
    }
    for (let next = lane + dy; dy && !best && next >= 0 && next < state.run.lanes.length; next += dy) {
      best = of(next).reduce((near, one) => (!near || Math.abs(one.dataset.at - when) < Math.abs(near.dataset.at - when) ? one : near), null);
    }
    if (best) moveTo(best, laneSvg);
  }

  /** The one cell, or mark, to which Tab comes; the focus goes there. */
  function moveTo(best, picture) {
    for (const one of picture.querySelectorAll("[tabindex='0']")) one.setAttribute("tabindex", -1);
    best.setAttribute("tabindex", 0);
    best.focus({ preventScroll: true });
  }
  // A click in the timeline leaves the focus where the arrow keys step.
  laneSvg.addEventListener("mousedown", (event) => event.preventDefault());

  root.addEventListener("click", onClick);
  root.addEventListener("pointerover", onPoint);
  root.addEventListener("pointerleave", () => onPoint({ target: root }));
  root.addEventListener("focusin", onFocus);
  root.addEventListener("focusout", onFocus);
  root.addEventListener("keydown", onKey);
  range.addEventListener("input", () => source.go(Number(range.value), true));
  check.addEventListener("click", () => act({ do: "check" }));
  let width = 0;
  const watch = new ResizeObserver(() => {
    if (root.clientWidth !== width) {
      width = root.clientWidth;
      render(true);
    }
  });
  watch.observe(root);
  const resized = () => render(true);
  window.addEventListener("resize", resized);
  return {
    show: render,
    key: onKey,
    present,
    stop() {
      present.leave();
      clearInterval(timer);
      watch.disconnect();
      window.removeEventListener("resize", resized);
    },
  };
}

/** ipywidgets gives the handle of a slider no name that a screen reader could say: its label's words become one. */
function nameSliders(box) {
  const name = () => {
    for (const slider of box.querySelectorAll(".widget-slider")) {
      const words = slider.querySelector("label, .widget-label")?.textContent ?? "";
      slider.querySelector("[role='slider']:not([aria-label])")?.setAttribute("aria-label", words);
    }
  };
  name();
  new MutationObserver(name).observe(box, { childList: true, subtree: true });
}

/** The text twin, from the same words that pointer and focus are told. */
function textOf(m) {
  const mark = (c) => (c.x ? "! " : c.n ? "* " : "  ");
  const lines = [`step ${m.step}: ${m.said[0]} ${m.said[1]}`.trimEnd()];
  const row = (cells) => cells.forEach((c) => c && lines.push(mark(c) + c.t.replace(": press to unfold", "")));
  for (const group of m.groups) {
    row(group.cells);
    if (group.mmu) row(group.mmu);
  }
  row(m.slots);
  row(m.frames);
  row(m.ram ?? []);
  for (const bar of m.bars) lines.push(`  ${bar.t}`);
  for (const [name, inside, condition, words, locks] of m.now) {
    const how = condition === "waits" ? `waits ${words}` : condition === "next" ? `next: ${words}` : words;
    lines.push(`  ${name}${inside ? ` (${inside})` : ""}: ${how}${locks.length ? `, holds ${locks.join(", ")}` : ""}`);
  }
  for (const [rule, kind, step, what] of m.chips) lines.push(`  ${rule} ${kind === "price" ? "paid" : "broken"} at step ${step}: ${what}`);
  return lines.join("\n");
}

// -- where it is used -----------------------------------------------------------------------------------------------------

/**
 * Scroll a notebook so that a stage that has just appeared can be seen whole: only where a person ran its cell, so that the
 * cell or the one below it is the active one; a notebook that is run whole, or opened again, stays where it is.
 */
function land(root) {
  const scroller = root.closest(".jp-WindowedPanel-outer");
  const cells = [...(scroller?.querySelectorAll(".jp-Cell") ?? [])];
  const after = cells.findIndex((cell) => cell.classList.contains("jp-mod-active")) - cells.indexOf(root.closest(".jp-Cell"));
  if (!scroller || (after !== 0 && after !== 1)) return;
  const box = root.getBoundingClientRect();
  const frame = scroller.getBoundingClientRect();
  if (box.top < frame.top || box.bottom > frame.bottom) scroller.scrollBy({ top: box.top - frame.top - 4 });
}

/** A moment of which only what differs from another was stored (see wire.py). */
function changed(moment, change) {
  const next = { ...moment };
  for (const [name, value] of Object.entries(change)) {
    next[name] = Array.isArray(moment[name]) && value !== null && !Array.isArray(value) ? Object.assign([...moment[name]], value.at) : value;
  }
  return next;
}

/**
 * In the lab: traits of the model are what is shown, messages are what a person does.
 *
 * The moments next to the one that is shown come after it, so that most steps through a run are drawn at once; the kernel hears
 * of each and answers with the moment, which is drawn again only if it differs.
 */
function render({ model, el }) {
  const root = document.createElement("div");
  el.append(root);
  let asked = null; // the step last asked for: the newest wins, one question at a time
  let waiting = false;
  let due = false;
  let quiet = true;
  let shape = "";
  let drawn = "";
  let ahead = null; // the moment that is shown before the kernel has answered
  const near = new Map(); // moments by their steps, of the edition that is shown
  const learn = () => {
    const { edition, step, moments } = model.get("near");
    const base = model.get("moment");
    if (edition !== model.get("edition") || step !== base.step) return;
    for (const [other, change] of Object.entries(moments)) near.set(Number(other), changed(base, change));
  };
  const forget = () => {
    near.clear();
    ahead = null;
  };
  const shown = () => ahead ?? model.get("moment");
  const look = (step) => {
    asked = null;
    waiting = true;
    root.dataset.waits = "";
    model.send({ look: step });
  };
  const source = {
    get: () => ({
      scene: model.get("scene"),
      run: model.get("run"),
      moment: shown(),
      options: model.get("options"),
      check: model.get("check"),
      asked: model.get("asked"),
    }),
    go(step, drag) {
      const wanted = Math.max(0, Math.min(model.get("run").end, step));
      if (wanted === (asked ?? shown().step)) return;
      if (drag) quiet = true;
      const known = near.get(wanted);
      if (waiting) asked = wanted;
      else look(wanted);
      if (!known) return;
      if (Math.abs(wanted - shown().step) > 1) quiet = true;
      ahead = known;
      soon();
    },
    send(message) {
      if (asked !== null) look(asked); // what is done is done at the step that is seen
      model.send(message);
    },
  };
  const stage = makeStage(root, source);
  const draw = () => {
    due = false;
    const { scene, run, moment, options, check, asked: question } = source.get();
    near.set(moment.step, moment);
    if (near.size > KEPT) near.delete(near.keys().next().value);
    const now = JSON.stringify([scene.name, run.knobs]);
    const all = JSON.stringify([moment, options, check, question, run.end, run.marks, run.calls, run.breaks, now]);
    if (all !== drawn) stage.show(quiet || now !== shape);
    drawn = all;
    shape = now;
    quiet = false;
  };
  const soon = () => {
    if (!due) queueMicrotask(draw);
    due = true;
  };
  const moved = () => {
    waiting = false;
    delete root.dataset.waits;
    near.set(model.get("moment").step, model.get("moment"));
    if (asked !== null && asked !== model.get("moment").step) {
      ahead = near.get(asked) ?? null;
      if (!ahead) quiet = true;
      look(asked);
    } else {
      asked = null;
      ahead = null;
    }
    soon();
  };
  const heard = { "change:seq": moved, "change:edition": forget, "change:near": learn };
  for (const name of ["moment", "scene", "run", "options", "check", "asked"]) heard[`change:${name}`] = soon;
  for (const [name, hear] of Object.entries(heard)) model.on(name, hear);
  learn();
  setTimeout(() => land(root), 60); // when it has its height
  soon();
  return () => {
    stage.stop();
    for (const [name, hear] of Object.entries(heard)) model.off(name, hear);
  };
}

/** In a saved page: the run's moments are all there, the first whole and of the others what changed. */
function savedPage(root, { scene, run, first, later }, options = {}) {
  const moments = [first];
  for (const change of later) moments.push(changed(moments.at(-1), change));
  let step = 0;
  const all = { saved: true, ...options };
  const stage = makeStage(root, {
    get: () => ({ scene, run, moment: moments[step], options: all }),
    go(wanted, drag) {
      const to = Math.max(0, Math.min(run.end, wanted));
      const far = Math.abs(to - step) > 1;
      step = to;
      stage.show(Boolean(drag) || far);
      options.moved?.(step);
    },
    send: options.send ?? (() => {}),
  });
  return { key: stage.key, stop: stage.stop, present: stage.present, get step() { return step; }, go: (wanted) => ((step = Math.max(0, Math.min(run.end, wanted))), stage.show(true)), moments };
}

export { makeStage, savedPage, textOf };
export default { render };
