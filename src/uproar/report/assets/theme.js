"use strict";
// Light and dark: the style sheet holds all colours, the figures read them from there.
window.uproar = { onTheme: [] };

uproar.isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

// A custom property reads as its text (light-dark(…)); a probe gives the colour that it means now.
uproar.colour = (() => {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  return (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
})();

uproar.setTheme = (theme) => {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  uproar.onTheme.forEach((react) => react());
};

document.getElementById("theme").addEventListener("click", () => {
  uproar.setTheme(uproar.isDark() ? "light" : "dark");
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  uproar.onTheme.forEach((react) => react());
});

// Paper is white: figures are drawn for it, and everything folded away is shown.
let beforePrint = null;
addEventListener("beforeprint", () => {
  const closed = [...document.querySelectorAll("details:not([open])")];
  beforePrint = { theme: document.documentElement.dataset.theme, closed };
  closed.forEach((part) => { part.open = true; });
  uproar.setTheme("light");
});
addEventListener("afterprint", () => {
  if (!beforePrint) return;
  beforePrint.closed.forEach((part) => { part.open = false; });
  uproar.setTheme(beforePrint.theme);
  beforePrint = null;
});
