"use strict";
// Sorting and filtering of the leaderboards.
(() => {
  const valueOf = (row, column) => row.cells[column].dataset.value ?? "";

  // What is missing stays last in both directions.
  const compare = (column, descending) => (a, b) => {
    const [x, y] = [valueOf(a, column), valueOf(b, column)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const numeric = !Number.isNaN(Number(x)) && !Number.isNaN(Number(y));
    const order = numeric ? Number(x) - Number(y) : x.localeCompare(y);
    return descending ? -order : order;
  };

  const sort = (heading) => {
    const head = heading.parentElement;
    const other = { ascending: "descending", descending: "ascending" };
    const direction = other[heading.getAttribute("aria-sort")] ?? heading.dataset.first;
    for (const cell of head.cells) cell.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", direction);
    const body = head.closest("table").tBodies[0];
    body.append(...[...body.rows].sort(compare(heading.cellIndex, direction === "descending")));
  };

  document.querySelectorAll(".board thead th").forEach((heading) => {
    heading.querySelector("button").addEventListener("click", () => sort(heading));
  });

  document.querySelectorAll(".filter").forEach((box) => {
    const rows = [...document.getElementById(box.dataset.table).tBodies[0].rows];
    const found = box.closest(".tools").querySelector("output");
    const headings = [...document.querySelectorAll(`#${box.dataset.table} thead th`)];
    // Name, kind, estimand and the verdicts, not the numbers.
    const searched = headings.filter((heading) => /^name$|^kind$|^estimand$|verdict$/.test(heading.dataset.key));
    const columns = searched.map((heading) => heading.cellIndex);
    box.addEventListener("input", () => {
      const wanted = box.value.trim().toLowerCase();
      const text = (row) => columns.map((cell) => valueOf(row, cell)).join(" ").toLowerCase();
      rows.forEach((row) => { row.hidden = !text(row).includes(wanted); });
      const shown = rows.filter((row) => !row.hidden).length;
      found.textContent = wanted ? `${shown} of ${rows.length} shown` : "";
    });
  });
})();
