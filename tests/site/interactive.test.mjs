// The interactive pages by keyboard, by touch, with reduced motion and without JavaScript; each on its own and in its frame.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PHONE, base, close, open, skip, tap } from "./harness.mjs";

const at = (name) => `docs/live/${name}.html`;
const said = (page) => page.locator("#says").innerText();

/** Go through a page with Tab, from its top until the focus leaves it; returns where it came by, each visibly focused. */
async function tabs(page) {
  const seen = [];
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    const now = await page.evaluate(() => {
      const node = document.activeElement, style = getComputedStyle(node);
      if (node === document.body) return null;
      const marked = parseFloat(style.outlineWidth) >= 2 && style.outlineStyle !== "none" || style.strokeWidth === "4px";
      const box = node.getBoundingClientRect(), inView = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
      return { name: node.id || node.name || node.getAttribute("aria-label") || node.innerText.trim(), marked, inView };
    });
    if (!now) return seen;
    assert.ok(now.marked, `${now.name}: its focus cannot be seen`);
    assert.ok(now.inView, `${now.name}: it has the focus outside the window`);
    assert.ok(!seen.includes(now.name), `${now.name}: the focus came back`);
    seen.push(now.name);
  }
  assert.fail("the focus does not leave the page");
}

/** Press keys on a control; returns what the page says after each. */
async function press(page, control, ...keys) {
  await (typeof control === "string" ? page.locator(control) : control).focus();
  const told = [];
  for (const key of keys) {
    await page.keyboard.press(key);
    told.push(await said(page));
  }
  return told;
}

/** Touch a place, move by so much in a few steps, and let go. */
async function swipe(page, locator, dx, dy = 0) {
  await locator.scrollIntoViewIfNeeded();
  const box = await locator.boundingBox(), session = await page.context().newCDPSession(page);
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const touch = (type, ...points) => session.send("Input.dispatchTouchEvent", { type, touchPoints: points });
  await touch("touchStart", { x, y });
  for (let i = 1; i <= 5; i++) await touch("touchMove", { x: x + dx * i / 5, y: y + dy * i / 5 });
  await touch("touchEnd");
}

const number = async (locator, attribute) => Number(await locator.getAttribute(attribute));
const different = (told) => assert.equal(new Set(told).size, told.length, `a key changed nothing: ${told.join("\n")}`);

describe("interactive pages", { concurrency: 3, timeout: 600_000, skip }, () => {
  test("the living figure by keyboard", async () => {
    const page = await open(at("index"));
    assert.deepEqual(await tabs(page), ["play", "when", "theme", "net", "view", "How to read it", "One layer over time", "layer",
      "The numbers at this step, as a table", "What is shown, and what is not"]);
    const last = await number(page.locator("#when"), "max");
    different([await said(page), ...await press(page, "#when", "ArrowRight", "PageUp", "End")]);
    assert.equal(await page.locator("#now").innerText(), "step 10,000");
    assert.match(await page.locator("#when").getAttribute("aria-valuetext"), /step 10,000/);
    await press(page, "#when", "Home");
    assert.equal(await page.locator("#now").innerText(), "step 0");
    await press(page, "#play", "Enter");
    assert.match(await page.locator("#play").innerText(), /Pause/);
    await page.waitForFunction(() => document.getElementById("when").value >= 2);
    await press(page, "#play", "Space");
    assert.match(await page.locator("#play").innerText(), /Play/);
    const shape = () => page.locator("#arms svg path").nth(2).getAttribute("d");
    const before = await shape();
    await press(page, "input[name=view]:checked", "ArrowRight");
    assert.notEqual(await shape(), before, "single units look like whole layers");
    const band = () => page.locator("#bands").getAttribute("aria-label");
    const eighth = await band();
    await press(page, "#layer", "ArrowUp");
    assert.notEqual(await band(), eighth);
    await press(page, page.getByText("The numbers at this step"), "Enter");
    assert.equal(await page.locator("#table tbody tr").count(), 8);
    assert.ok(await page.locator("#table").isVisible());
    await press(page, "#net", "ArrowDown");
    assert.equal(await page.locator("#table tbody tr").count(), 3);
    assert.equal(await page.locator("#arms h2").count(), 2);
    const dark = () => page.evaluate(() => document.documentElement.dataset.theme);
    const was = await dark();
    await press(page, "#theme", "Enter");
    assert.notEqual(await dark(), was);
    assert.ok(last > 30);
    await close(page);
  });

  test("the dragged batch by keyboard", async () => {
    const page = await open(at("drag"));
    const dots = Array.from({ length: 8 }, (_, i) => `x of example ${i + 1}`);
    assert.deepEqual(await tabs(page), ["mode", "which", "again", ...dots, "The numbers, as a table"]);
    const dot = page.getByRole("slider", { name: "x of example 3" }), now = () => number(dot, "aria-valuenow");
    const from = await now();
    different(await press(page, dot, "ArrowRight", "Shift+ArrowRight", "PageUp", "End", "Home"));
    assert.equal(await now(), -10);
    await press(page, dot, "End", "ArrowLeft", "ArrowDown");
    assert.equal(await now(), 9.8);
    const training = await said(page);
    await press(page, "input[name=mode]:checked", "ArrowRight");
    assert.match(await said(page), /on its own/);
    await press(page, "input[name=mode]:checked", "ArrowLeft");
    assert.equal(await said(page), training);
    different([training, ...await press(page, "#which", "ArrowDown", "ArrowDown")]);
    assert.match(await said(page), /none passes/);
    await press(page, "#again", "Enter");
    assert.equal(await now(), from);
    await press(page, page.getByText("The numbers, as a table"), "Space");
    assert.ok(await page.locator("#rows").isVisible());
    await close(page);
  });

  test("the circle by keyboard", async () => {
    const page = await open(at("circle"));
    assert.deepEqual(await tabs(page), ["angle of the batch", "angle of the gradient", "turn", "spread", "mean", "pull"]);
    const rows = () => page.locator("#rows").innerText();
    for (const control of [page.getByRole("slider", { name: "angle of the batch" }),
      page.getByRole("slider", { name: "angle of the gradient" }), ...["turn", "spread", "mean", "pull"].map((id) => page.locator(`#${id}`))]) {
      const told = [];
      for (const key of ["Home", "ArrowRight", "ArrowUp", "PageUp"]) {
        await press(page, control, key);
        told.push(await rows());
      }
      different(told);
      await press(page, control, "End");
      assert.notEqual(await rows(), told.at(-1));
    }
    await close(page);
  });

  test("γ, β and ε by keyboard", async () => {
    const page = await open(at("sliders"));
    const sliders = ["gamma", "beta", "eps", "spread", "shift"];
    assert.deepEqual(await tabs(page), [...sliders, "undo", "again"]);
    const start = await said(page), shape = () => page.locator("#stage").innerHTML(), drawn = await shape();
    for (const id of sliders) {
      const told = [await shape()];
      for (const key of ["ArrowRight", "PageUp", "End"]) {
        await press(page, `#${id}`, key);
        told.push(`${await page.locator(`#${id}`).inputValue()} ${await shape()}`);
      }
      different(told);
      await press(page, "#again", "Enter");
      assert.equal(await shape(), drawn, "Start over left something");
    }
    const [undone] = await press(page, "#undo", "Space");
    assert.match(undone, /mean 3\.00/);
    await press(page, "#again", "Space");
    assert.equal(await said(page), start);
    await close(page);
  });

  test("every slider by touch", async () => {
    for (const [name, sliders] of [["index", ["when"]], ["circle", ["turn", "spread", "mean", "pull"]],
      ["sliders", ["gamma", "beta", "eps", "spread", "shift"]]]) {
      const page = await open(at(name), PHONE);
      for (const id of sliders) {
        const slider = page.locator(`#${id}`), before = await slider.inputValue();
        await swipe(page, slider, 60);
        assert.notEqual(await slider.inputValue(), before, `${name}: ${id} was not moved`);
        const box = await slider.boundingBox();
        assert.ok(box.height >= 24 && box.width >= 100, `${name}: ${id} is too small for a finger`);
      }
      await close(page);
    }
  });

  test("dots, arrows and curves by touch", async () => {
    let page = await open(at("drag"), PHONE);
    const dot = page.getByRole("slider", { name: "x of example 8" });
    await swipe(page, dot, 60);
    assert.ok((await number(dot, "aria-valuenow")) > 5);
    await tap(page.getByLabel("constants (evaluation)"), async () => /on its own/.test(await said(page)));
    await close(page);

    page = await open(at("circle"), PHONE);
    for (const name of ["angle of the batch", "angle of the gradient"]) {
      const thing = page.getByRole("slider", { name }), before = await number(thing, "aria-valuenow");
      await swipe(page, thing, -40, 40);
      assert.notEqual(await number(thing, "aria-valuenow"), before, name);
    }
    await close(page);

    page = await open(at("index"), PHONE);
    await swipe(page, page.locator("#curve"), 80);
    const there = await page.locator("#now").innerText();
    assert.notEqual(there, "step 0");
    assert.ok(await page.evaluate(() => !document.querySelector("details.fold[open]")), "a phone shows the figure first");
    await tap(page.getByText("One layer over time"), () => page.locator("#bands path").first().isVisible());
    const box = await page.locator("#bands").boundingBox();
    assert.ok(box.width > 300 && box.height > 100);
    await close(page);
  });

  test("in a lesson, a page is as high as it is, and is moved by touch and keyboard", async () => {
    const page = await open("lessons/06_backward.html", { ...PHONE, reducedMotion: "reduce" });
    const frames = page.locator("iframe.live");
    assert.equal(await frames.count(), 2);
    const high = () => frames.evaluateAll((all) => all.map((frame) => frame.offsetHeight));
    const unloaded = await high();
    await page.waitForTimeout(300);
    assert.deepEqual(await high(), unloaded, "a frame grows before its page is there");
    for (let i = 0; i < 2; i++) {
      await frames.nth(i).evaluate((frame) => frame.scrollIntoView({ behavior: "instant" }));
      const inside = frames.nth(i).contentFrame();
      await inside.locator("#says").waitFor();
      await page.waitForFunction((i) => {
        const frame = document.querySelectorAll("iframe.live")[i];
        return frame.offsetHeight >= frame.contentDocument.documentElement.offsetHeight;
      }, i);
      const thing = inside.getByRole("slider").first();
      const before = await thing.getAttribute("aria-valuenow");
      await thing.scrollIntoViewIfNeeded();
      const scrolled = await page.evaluate(() => scrollY);
      await swipe(page, thing, 30, 30);
      const touched = await thing.getAttribute("aria-valuenow");
      assert.notEqual(touched, before);
      assert.ok(Math.abs(await page.evaluate(() => scrollY) - scrolled) < 2, "the lesson scrolled while a dot was dragged");
      await thing.press("ArrowUp");
      assert.notEqual(await thing.getAttribute("aria-valuenow"), touched);
    }
    await close(page);
  });

  test("with reduced motion the living figure plays slowly, and no page scrolls smoothly", async () => {
    for (const [reducedMotion, fewest, most] of [["no-preference", 5, 12], ["reduce", 0, 1]]) {
      const page = await open(undefined, { reducedMotion });
      await page.clock.install();
      await page.goto(base + at("index"));
      await page.locator("#play").click();
      await page.clock.runFor(1100);  // and what the real clock has added
      const steps = Number(await page.locator("#when").inputValue());
      assert.ok(fewest <= steps && steps <= most, `${reducedMotion}: ${steps} steps in a second`);
      await close(page);
    }
    const page = await open("index.html", { reducedMotion: "reduce" });
    assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior), "auto");
    const moving = await page.evaluate(() => document.getAnimations().map((a) => a.animationName ?? a.transitionProperty));
    assert.deepEqual(moving, []);
    await close(page);
  });

  test("without JavaScript there is a still or a word, alone and in a lesson", async () => {
    let page = await open(at("index"), { javaScriptEnabled: false });
    assert.ok(await page.locator("noscript svg[role=img]").isVisible());
    assert.match(await page.locator("noscript .says").innerText(), /After 10,000 steps the network reads/);
    assert.equal(await page.locator("#play").isVisible(), false);
    await close(page);
    for (const name of ["drag", "circle", "sliders"]) {
      page = await open(at(name), { javaScriptEnabled: false });
      assert.match(await page.locator("noscript .says").innerText(), /needs JavaScript/);
      assert.equal(await page.locator("#stage").isVisible(), false);
      await close(page);
    }
    for (const [lesson, stills] of [["05_algorithm_1", 2], ["06_backward", 2]]) {
      page = await open(`lessons/${lesson}.html`, { javaScriptEnabled: false });
      const pictures = page.locator("noscript img");
      assert.equal(await pictures.count(), stills);
      for (let i = 0; i < stills; i++) {
        assert.ok(await pictures.nth(i).isVisible());
        assert.ok((await pictures.nth(i).getAttribute("alt")).length > 100);
      }
      assert.equal(await page.locator("iframe.live").first().isVisible(), false);
      await close(page);
    }
  });
});
