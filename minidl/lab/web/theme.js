// The colours: what the reader chose here or on the site around us ("theme": light, dark or auto), else what the system says.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const apply = () => {
    const theme = chosen();
    document.documentElement.dataset.theme = theme === "light" || theme === "dark" ? theme : system.matches ? "dark" : "light";
    dispatchEvent(new Event("themechange"));
  };
  document.documentElement.classList.add("js");
  apply();
  system.addEventListener("change", apply);
  addEventListener("storage", apply);  // the site around this page has changed it
  globalThis.setTheme = theme => { try { localStorage.setItem("theme", theme); } catch {} document.documentElement.dataset.theme = theme; };
})();
