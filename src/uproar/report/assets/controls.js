"use strict";
// The keys of the charts, the choice of removal and matrix, and the copy buttons.
(() => {
  const keys = [...document.querySelectorAll(".key")];
  const numberOf = (key) => Number(key.dataset.explainer);
  const atStart = keys.filter((key) => key.getAttribute("aria-pressed") === "true").map(numberOf);
  const random = keys.filter((key) => key.title === "random").map(numberOf);
  atStart.forEach((number) => uproar.visible.add(number));

  const show = (numbers) => {
    uproar.visible.clear();
    numbers.forEach((number) => uproar.visible.add(number));
    keys.forEach((key) => key.setAttribute("aria-pressed", String(uproar.visible.has(numberOf(key)))));
    return uproar.showExplainers();
  };
  keys.forEach((key) => key.addEventListener("click", () => {
    const number = numberOf(key);
    const without = [...uproar.visible].filter((other) => other !== number);
    show(uproar.visible.has(number) ? without : [...uproar.visible, number]);
  }));
  const sets = { default: atStart, all: keys.map(numberOf), none: random };
  document.querySelectorAll("[data-show]").forEach((button) => {
    button.addEventListener("click", () => show(sets[button.dataset.show]));
  });

  for (const choice of ["removal", "matrix"]) {
    document.getElementById(choice)?.addEventListener("change", (event) => {
      document.querySelectorAll(`[data-${choice}]`).forEach((block) => {
        block.hidden = block.dataset[choice] !== event.target.value;
      });
      uproar.drawShown();
    });
  }

  // Charts in a closed block are drawn when it opens.
  document.querySelectorAll("details").forEach((block) => block.addEventListener("toggle", () => uproar.drawShown()));

  // The clipboard interface is refused to files in some browsers; the old command works there.
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  document.querySelectorAll("[data-copy]").forEach((button) => {
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const done = await copy(document.getElementById(button.dataset.copy).textContent);
      button.textContent = done ? "Copied" : "Not copied: select the text";
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  });
  const outlines = document.getElementById("outlines");
  outlines?.addEventListener("change", () => document.body.classList.toggle("no-outlines", !outlines.checked));

  uproar.drawShown().then(() => { document.documentElement.dataset.ready = "true"; });
})();
