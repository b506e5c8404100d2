// What the small pages share: drawing, numbers as text, things that one can drag or move with the arrow keys.

const $ = id => document.getElementById(id);
const text = (x, digits = 2) => (Math.abs(x) < 0.5 * 10 ** -digits ? 0 : x).toFixed(digits).replace("-", "−");

function make(parent, tag, attributes = {}, content) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (content !== undefined) node.textContent = content;
  parent.append(node);
  return node;
}

const place = (node, attributes) => { for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value); };

// Where a pointer is, in the units of an SVG.
function where(svg, event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [at.x, at.y];
}

// Let a node be dragged: move([x, y]) is called in the units of its SVG. And by keys, as a slider: nudge(dx, dy) by steps with the
// arrows, ten with Shift or Page Up and Down; end(which) with Home (−1) and End (1). Where nodes overlap, pick([x, y]) says which.
function draggable(svg, node, move, nudge, end, pick = () => node) {
  node.style.cursor = "grab";
  // A finger that starts here drags, and does not scroll the page; touch-action alone does not reach inside an SVG everywhere.
  node.style.touchAction = "none";
  node.addEventListener("touchstart", event => event.preventDefault(), { passive: false });
  node.addEventListener("pointerdown", event => {
    const picked = pick(where(svg, event));
    picked.setPointerCapture(event.pointerId);
    picked.focus({ preventScroll: true });
  });
  node.addEventListener("pointermove", event => { if (node.hasPointerCapture(event.pointerId)) move(where(svg, event)); });
  const keys = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1], PageUp: [0, 10], PageDown: [0, -10] };
  const ends = { Home: -1, End: 1 };
  node.addEventListener("keydown", event => {
    if (!(event.key in keys || event.key in ends)) return;
    event.preventDefault();
    if (event.key in ends) return end(ends[event.key]);
    const far = event.shiftKey ? 10 : 1;
    nudge(...keys[event.key].map(step => far * step));
  });
}

// An arrow from one point to another; a short one loses its head.
function arrow(node, [x1, y1], [x2, y2]) {
  const dx = x2 - x1, dy = y2 - y1, length = Math.hypot(dx, dy), head = Math.min(7, length / 2);
  if (length < 0.5) return node.setAttribute("d", "");
  const [ux, uy] = [dx / length, dy / length], [bx, by] = [x2 - head * ux, y2 - head * uy];
  node.setAttribute("d", `M${x1} ${y1}L${bx} ${by}M${bx - head * uy / 2} ${by + head * ux / 2}L${x2} ${y2}L${bx + head * uy / 2} ${by - head * ux / 2}Z`);
}

// Fill the body of a table, a row for each array of texts.
function fill(body, rows) {
  body.replaceChildren(...rows.map(row => {
    const line = document.createElement("tr");
    line.append(...row.map((content, i) => {
      const cell = document.createElement(i ? "td" : "th");
      if (!i) cell.scope = "row";
      cell.textContent = content;
      return cell;
    }));
    return line;
  }));
}

// Say a sentence; it is read aloud only once the reader has stopped moving.
let saying = 0;
function say(sentence) {
  $("says").textContent = sentence;
  clearTimeout(saying);
  saying = setTimeout(() => { $("aloud").textContent = sentence; }, 600);
}

// In a frame of the same site the frame takes the height of the page.
new ResizeObserver(() => {
  try { if (frameElement) frameElement.style.height = `${document.documentElement.offsetHeight + 4}px`; } catch {}
}).observe(document.documentElement);
