"use strict";
// ---- the recorded runs: pure functions, which a test runs without a browser ------------------------------------------------

const mean = values => values.reduce((a, b) => a + b, 0) / values.length;

// The bytes of a base64 text, signed or not.
function bytes(text, signed) {
  const raw = Uint8Array.from(atob(text), c => c.charCodeAt(0));
  return signed ? new Int8Array(raw.buffer) : raw;
}

// Unpack a network, once. Then arm.h[seed][…] are roots of shares times 255, arm.u percentiles in tenths.
function unpack(net, bins) {
  net.bins = bins;
  for (const arm of net.arms) { arm.h = bytes(arm.h, false); arm.u = bytes(arm.u, true); }
  net.peak = Math.max(...net.arms.map(arm => arm.h.reduce((a, b) => Math.max(a, b), 0)));  // the highest column of all
  return net;
}

// The heights of a layer's columns, 0 … 1. The highest of all moments and arms is 1, so none is cut off.
function heights(net, arm, seed, at, layer) {
  const from = ((seed * net.steps.length + at) * net.layers.length + layer) * net.bins;
  return Array.from(arm.h.subarray(from, from + net.bins), root => root / net.peak);
}

// The 15th, 50th and 85th percentile of each single unit.
function units(net, arm, at, layer, count) {
  const from = (at * net.layers.length + layer) * count * 3;
  return Array.from({ length: count }, (_, u) => [0, 1, 2].map(k => arm.u[from + 3 * u + k] / 10));
}

// What is said of a layer: over the seeds the mean and [lowest, highest] of each.
function facts(arm, at, layer) {
  const over = values => ({ mean: mean(values), low: Math.min(...values), high: Math.max(...values) });
  return {
    sat: over(arm.sat.map(seed => seed[at][layer])),
    signal: over(arm.signal.map(seed => seed[at][layer])),
    left: over(arm.signal.map(seed => 100 * seed[at][layer] / seed[at][0])),
  };
}

// A percentage with few digits; `few` in words.py does the same.
function few(value) {
  if (value >= 9.95) return value.toFixed(0);
  if (value >= 0.095 || value === 0) return value.toFixed(1).replace(/\.0$/, "");
  return value < 0.001 ? "<0.001" : value.toFixed(3).replace(/0+$/, "");
}

// A number with two or three digits, and a true minus sign.
function short(x) {
  const size = Math.abs(x);
  const text = size >= 100 ? x.toFixed(0) : size >= 0.1 || x === 0 ? x.toFixed(2) : size < 1e-4 ? x.toExponential(0) : String(+x.toPrecision(1));
  return text.replaceAll("-", "−");
}

const range = (of, write, unit = "") => `${write(of.mean)}${unit} (${write(of.low)} to ${write(of.high)})`;

// ---- the page --------------------------------------------------------------------------------------------------------------

if (typeof document !== "undefined") (() => {
const $ = id => document.getElementById(id), SVG = "http://www.w3.org/2000/svg";
const data = JSON.parse($("data").textContent), LOW = data.edges[0], HIGH = data.edges.at(-1);
const nets = data.nets.map(net => unpack(net, data.edges.length - 1));
const DASH = { none: "7 3", batch: "none", start: "2 3" };
const quiet = matchMedia("(prefers-reduced-motion: reduce)");
const number = x => x.toLocaleString("en");
const percent = x => `${x.toFixed(1)} %`;
const view = () => document.querySelector("input[name=view]:checked").value;
let net = nets[0], at = 0, timer = 0;

function make(parent, tag, attributes = {}, text) {
  const svg = ["path", "rect", "line", "text"].includes(tag);
  const node = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

// -- one panel for each arm: a row for each layer
const LEFT = 16, RIGHT = 3;
let panels = [];

function frame() {
  const host = $("arms");
  host.replaceChildren();
  host.style.gridTemplateColumns = `repeat(${net.arms.length}, minmax(0, 1fr))`;
  panels = net.arms.map(arm => {
    const box = make(host, "div");
    return { arm, head: make(box, "h2", { class: arm.id }), acc: make(box, "p"), box };
  });
  for (const panel of panels) framePanel(panel);
}

function framePanel(panel) {
  const svg = document.createElementNS(SVG, "svg"), n = net.layers.length;
  svg.setAttribute("role", "img");
  panel.box.append(svg);
  const width = Math.max(80, Math.round(svg.clientWidth));  // one unit is one pixel: text keeps its size on phones
  const narrow = width < 230, row = narrow ? (n > 4 ? 70 : 84) : n > 4 ? 56 : 90, top = narrow ? 29 : 4;  // narrow: words stand above the shape
  const name = narrow ? panel.arm.name.split(",")[0] : panel.arm.name;
  panel.head.textContent = name[0].toUpperCase() + name.slice(1);
  svg.setAttribute("viewBox", `0 0 ${width} ${n * row + 34}`);
  const X = v => LEFT + (Math.max(LOW, Math.min(HIGH, v)) - LOW) / (HIGH - LOW) * (width - LEFT - RIGHT);
  for (const [a, b] of net.flat)
    make(svg, "rect", { x: X(a), y: 0, width: X(b) - X(a), height: n * row, fill: "var(--zone)", opacity: 0.8 });
  const { id } = panel.arm, rows = [];
  for (let i = 0; i < n; i++) {
    const base = (i + 1) * row;
    make(svg, "line", { x1: LEFT, x2: width - RIGHT, y1: base, y2: base, stroke: "var(--line)" });
    rows.push({ base,
      others: net.seeds.slice(1).map(() => make(svg, "path", { fill: "none", stroke: `var(--${id})`, "stroke-width": 0.8, opacity: 0.7 })),
      shape: make(svg, "path", { fill: `var(--${id}-fill)`, stroke: `var(--${id})`, "stroke-width": 1.4 }),
      marks: make(svg, "path", { stroke: `var(--${id})`, "stroke-width": 2.5, fill: "none" }),
      flat: make(svg, "text", narrow ? { x: 2, y: base - row + 13 } : { x: width - RIGHT, y: base - row + 14, "text-anchor": "end" }),
      left: make(svg, "text", narrow ? { x: 2, y: base - row + 26 } : { x: width - RIGHT, y: base - row + 28, "text-anchor": "end" }) });
    make(svg, "text", { x: 0, y: base - 5, class: "n" }, String(i + 1));
  }
  for (const v of narrow ? [-8, 0, 8] : [-8, -4, 0, 4, 8]) {
    const anchor = v === LOW ? "start" : v === HIGH ? "end" : "middle";
    make(svg, "text", { x: X(v), y: n * row + 14, "text-anchor": anchor }, String(v).replace("-", "−"));
  }
  make(svg, "text", { x: (width + LEFT) / 2, y: n * row + 29, "text-anchor": "middle" }, width < 130 ? "input" : `input of the ${net.unit}`);
  Object.assign(panel, { svg, rows, X, row, top, narrow, off: width < 130 && net.off === "saturated" ? "satur." : net.off });
}

function outline(panel, columns, base) {
  const full = panel.row - panel.top;
  let path = `M${panel.X(LOW)} ${base}`;
  columns.forEach((h, b) => {
    const y = (base - h * full).toFixed(1);
    path += `L${panel.X(data.edges[b]).toFixed(1)} ${y}H${panel.X(data.edges[b + 1]).toFixed(1)}`;
  });
  return path + `L${panel.X(HIGH)} ${base}Z`;
}

function draw(panel) {
  const { arm, rows, X, row, top, narrow } = panel, whole = view() === "h";
  rows.forEach((parts, i) => {
    const { base } = parts, now = facts(arm, at, i);
    if (whole) {
      parts.shape.setAttribute("d", outline(panel, heights(net, arm, 0, at, i), base));
      parts.others.forEach((path, k) => path.setAttribute("d", outline(panel, heights(net, arm, k + 1, at, i), base)));
      parts.marks.setAttribute("d", `M${X(arm.p[at][i][2]).toFixed(1)} ${base - 3}v6`);
    } else {
      let band = "", dots = "";
      units(net, arm, at, i, data.units).forEach(([low, middle, high], u) => {
        const y = (base - row + top + 3 + u * (row - top - 6) / (data.units - 1)).toFixed(1), a = X(low);
        band += `M${a.toFixed(1)} ${y}H${Math.max(X(high), a + 0.6).toFixed(1)}`;
        dots += `M${(X(middle) - 0.8).toFixed(1)} ${y}h1.6`;
      });
      parts.shape.setAttribute("d", band);
      parts.marks.setAttribute("d", dots);
      parts.others.forEach(path => path.setAttribute("d", ""));
    }
    parts.shape.setAttribute("fill", whole ? `var(--${arm.id}-fill)` : "none");
    parts.flat.textContent = `${few(now.sat.mean)} % ${panel.off}`;
    parts.left.textContent = `signal ${few(now.left.mean)} %`;
  });
  const acc = arm.acc.map(seed => seed[at]);
  panel.acc.textContent = `${percent(mean(acc))} right (${Math.min(...acc).toFixed(1)} to ${Math.max(...acc).toFixed(1)})`;
  panel.svg.setAttribute("aria-label", `${arm.name}, step ${number(net.steps[at])}. ` + net.layers.map((name, i) => {
    const [, low, middle, high] = arm.p[at][i], now = facts(arm, at, i);
    return `Layer ${name}: median ${short(middle)}, 70 percent between ${short(low)} and ${short(high)}, ` +
      `${few(now.sat.mean)} percent ${net.off}, signal ${few(now.left.mean)} percent of layer 1`;
  }).join(". "));
}

// -- curves over steps
const CH = 200, CL = 44, CR = 12, CT = 10, CB = 26;
let charts = [], CW = 720;
const T = step => CL + Math.log10(1 + step) / Math.log10(1 + net.steps.at(-1)) * (CW - CL - CR);
const line = (xs, ys) => xs.map((x, i) => `${i ? "L" : "M"}${x.toFixed(1)} ${ys[i].toFixed(1)}`).join("");
const area = (xs, low, high) => line(xs, high) + xs.map((x, i) => `L${x.toFixed(1)} ${low[i].toFixed(1)}`).reverse().join("") + "Z";

function axes(svg, lowest, highest, ticks, unit) {
  CW = Math.max(240, Math.round(svg.parentElement.clientWidth));
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${CW} ${CH}`);
  const Y = v => CT + (highest - Math.max(lowest, Math.min(highest, v))) / (highest - lowest) * (CH - CT - CB);
  for (const v of ticks) {
    make(svg, "line", { x1: CL, x2: CW - CR, y1: Y(v), y2: Y(v), stroke: "var(--line)" });
    make(svg, "text", { x: CL - 5, y: Y(v) + 4, "text-anchor": "end" }, String(v).replace("-", "−") + unit);
  }
  for (const s of [0, 1, 10, 100, 1000, 10000]) if (s <= net.steps.at(-1))
    make(svg, "text", { x: Math.min(T(s), CW - 24), y: CH - 8, "text-anchor": s ? "middle" : "start" }, number(s));
  return Y;
}

function finish(svg) {  // the cursor comes last, above the curves
  return { svg, cursor: make(svg, "line", { y1: CT, y2: CH - CB, stroke: "var(--ink)", "stroke-width": 1.2 }) };
}

function curves() {
  const xs = () => net.steps.map(T), last = net.steps.length - 1, layer = +$("layer").value;
  const seeds = (arm, i) => arm.acc.map(seed => seed[i]), each = pick => net.steps.map((_, i) => pick(i));
  let svg = $("curve"), Y = axes(svg, 0, 100, [0, 25, 50, 75, 100], " %");
  for (const arm of net.arms) {
    const low = each(i => Y(Math.min(...seeds(arm, i)))), high = each(i => Y(Math.max(...seeds(arm, i))));
    make(svg, "path", { d: area(xs(), low, high), fill: `var(--${arm.id}-fill)` });
    make(svg, "path", { d: line(xs(), each(i => Y(mean(seeds(arm, i))))), fill: "none", stroke: `var(--${arm.id})`,
      "stroke-width": 2.2, "stroke-dasharray": DASH[arm.id] });
  }
  svg.setAttribute("aria-label", `Test accuracy over ${number(net.steps[last])} steps. At the end: ` +
    net.arms.map(arm => `${arm.name} ${percent(mean(seeds(arm, last)))}`).join(", "));
  charts = [finish(svg)];
  svg = $("bands");
  Y = axes(svg, LOW, HIGH, [-8, -4, 0, 4, 8], "");
  for (const arm of net.arms) {
    const p = k => each(i => Y(arm.p[i][layer][k]));
    make(svg, "path", { d: area(xs(), p(1), p(3)), fill: `var(--${arm.id}-fill)` });
    make(svg, "path", { d: line(xs(), p(2)), fill: "none", stroke: `var(--${arm.id})`, "stroke-width": 2, "stroke-dasharray": DASH[arm.id] });
  }
  svg.setAttribute("aria-label", `Layer ${net.layers[layer]} over training. At the end 70 percent of its inputs lie: ` +
    net.arms.map(arm => `${arm.name}, between ${short(arm.p[last][layer][1])} and ${short(arm.p[last][layer][3])}`).join("; "));
  charts.push(finish(svg));
}

// -- everything at one step
function cell(row, tag, text, attributes = {}) { make(row, tag, attributes, text); }

function table() {
  const host = $("table");
  host.replaceChildren();
  make(host, "caption", { class: "sr" }, `Step ${number(net.steps[at])}`);
  const head = make(host, "thead"), groups = make(head, "tr"), names = make(head, "tr"), body = make(host, "tbody");
  cell(groups, "td", "");
  cell(names, "th", "layer", { scope: "col" });
  for (const arm of net.arms) {
    cell(groups, "th", arm.name, { scope: "colgroup", colspan: 6, class: arm.id });
    for (const name of ["median", "15th", "85th", net.off, "signal", "signal, of layer 1’s"]) cell(names, "th", name, { scope: "col" });
  }
  net.layers.forEach((name, i) => {
    const row = make(body, "tr");
    cell(row, "th", name, { scope: "row" });
    for (const arm of net.arms) {
      const p = arm.p[at][i], now = facts(arm, at, i);
      for (const text of [short(p[2]), short(p[1]), short(p[3]), range(now.sat, few, " %"), range(now.signal, short), range(now.left, few, " %")])
        cell(row, "td", text);
    }
  });
}

function show(aloud = true) {
  panels.forEach(draw);
  const x = T(net.steps[at]).toFixed(1), step = `step ${number(net.steps[at])}`;
  for (const { cursor } of charts) { cursor.setAttribute("x1", x); cursor.setAttribute("x2", x); }
  $("when").value = at;
  $("when").setAttribute("aria-valuetext", step);
  $("now").textContent = step;
  $("says").setAttribute("aria-live", aloud && !timer ? "polite" : "off");
  $("says").textContent = net.says[at];
  table();
}

const go = (to, aloud) => { at = Math.max(0, Math.min(net.steps.length - 1, to)); show(aloud); };
function stop() { clearInterval(timer); timer = 0; $("play").textContent = "▶ Play"; show(); }
function play() {
  if (timer) return stop();
  if (at === net.steps.length - 1) go(0, false);
  $("play").textContent = "❚❚ Pause";
  timer = setInterval(() => at === net.steps.length - 1 ? stop() : go(at + 1, false), quiet.matches ? 1200 : 200);
}

function caption() {
  const zone = net.off === "saturated" ? "In the grey zones a sigmoid is saturated." : "In the grey zone a ReLU is off.";
  const names = net.layers.every((name, i) => name === String(i + 1)) ? "" : ` (${net.layers.map((name, i) => `${i + 1}: ${name}`).join(", ")})`;
  $("caption").textContent = view() === "h"
    ? `Each row is a layer, the first at the top${names}: how often its ${net.unit}s receive which number. The height is the square root of ` +
      `the share, so that the highest column fits too. Filled: the first seed, with its median; thin lines: the others. Signal: as a share of layer 1’s. ${zone}`
    : `Each row is a layer${names}, each line in it one of ${data.units} units: where 70 % of what it receives lies (first seed). A dot alone means ` +
      `that the unit receives the same whatever the image: no signal. ${zone}`;
  $("bands-caption").textContent = `What the ${net.unit}s of this layer receive, first seed: the median, and a band that holds 70 %.`;
}

function choose() {
  if (timer) stop();
  net = nets[+$("net").value];
  $("layer").replaceChildren(...net.layers.map((name, i) => new Option(name, i)));
  $("layer").value = net.layers.length - 1;
  $("when").max = net.steps.length - 1;
  $("key").replaceChildren();
  for (const arm of net.arms) {
    const item = make($("key"), "span", { class: arm.id }), swatch = document.createElementNS(SVG, "svg");
    swatch.setAttribute("viewBox", "0 0 38 10");
    swatch.setAttribute("aria-hidden", "true");
    make(swatch, "path", { d: "M0 6H38", stroke: `var(--${arm.id})`, "stroke-width": 2.4, "stroke-dasharray": DASH[arm.id] });
    item.append(swatch, arm.name);
  }
  caption();
  frame();
  curves();
  go(at);
}

$("net").replaceChildren(...nets.map((n, i) => new Option(n.title, i)));
$("net").addEventListener("change", choose);
$("layer").addEventListener("change", () => { curves(); show(); });
$("when").addEventListener("input", () => { const to = +$("when").value; if (timer) stop(); go(to, false); });
$("when").addEventListener("change", () => show());
$("play").addEventListener("click", play);
for (const radio of document.querySelectorAll("input[name=view]")) radio.addEventListener("change", () => { caption(); show(false); });
for (const id of ["curve", "bands"]) {
  const seek = event => {
    const box = $(id).getBoundingClientRect(), x = (event.clientX - box.left) / box.width * CW;
    const far = net.steps.map(step => Math.abs(T(step) - x));
    if (timer) stop();
    go(far.indexOf(Math.min(...far)), false);
  };
  $(id).addEventListener("pointerdown", event => { $(id).setPointerCapture(event.pointerId); seek(event); });
  $(id).addEventListener("pointermove", event => { if (event.buttons) seek(event); });
  $(id).addEventListener("pointerup", () => show());
}
const dark = () => document.documentElement.dataset.theme === "dark";
const label = () => {
  $("theme").textContent = dark() ? "☀" : "☾";
  $("theme").setAttribute("aria-label", dark() ? "Light colours" : "Dark colours");
};
$("theme").addEventListener("click", () => { setTheme(dark() ? "light" : "dark"); label(); });
addEventListener("themechange", label);
label();
if (self !== top) document.documentElement.classList.add("framed");  // the site around it has the same button
const folds = document.querySelectorAll("details.fold");
if (matchMedia("(max-width:640px)").matches) for (const fold of folds) fold.open = false;  // a phone shows the figure first
for (const fold of folds) fold.addEventListener("toggle", () => { curves(); show(false); });
choose();
let wide = document.querySelector("main").clientWidth;
new ResizeObserver(() => {  // draw again when the page gets wider or narrower
  const now = document.querySelector("main").clientWidth;
  if (now === wide) return;
  wide = now;
  frame();
  curves();
  show(false);
}).observe(document.querySelector("main"));
})();
