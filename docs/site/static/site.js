// What the page can do only once it is laid out; without JavaScript everything can still be read.
addEventListener("DOMContentLoaded", () => {
  const reachable = () => {
    for (const e of document.querySelectorAll("pre, .table-wrapper, div.math")) {
      if (e.scrollWidth > e.clientWidth) e.tabIndex = 0; // what scrolls must be reached by keyboard
    }
  };
  reachable();
  addEventListener("resize", reachable);
  for (const e of document.querySelectorAll("p.caption[role=heading]")) e.setAttribute("aria-level", "2");
  document.querySelector("aside.sidebar-drawer")?.setAttribute("aria-label", "Pages");
  document.querySelector("aside.toc-drawer")?.setAttribute("aria-label", "On this page");

  // A link into an exercise that is folded opens it.
  const unfold = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = target?.closest("details");
    if (folded) folded.open = true;
  };
  unfold();
  addEventListener("hashchange", unfold);

  // An interactive figure is as high as its content, where the page may ask it.
  for (const frame of document.querySelectorAll("iframe.live")) {
    const fit = () => {
      try {
        const page = frame.contentDocument.documentElement;
        if (frame.contentDocument.URL === "about:blank") return; // not loaded yet; that page would grow with its frame for ever
        const set = () => (frame.style.height = `${page.offsetHeight + 4}px`);
        new ResizeObserver(set).observe(page);
        set();
      } catch { /* a file that was opened without a server: the frame keeps its height, and scrolls */ }
    };
    frame.addEventListener("load", fit);
    if (frame.contentDocument?.readyState === "complete") fit();
  }
});
