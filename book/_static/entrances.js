// Search and sort the tables of the entrances. No library, no network.
"use strict";

function filter(input, table, output) {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  output.textContent = `${shown} of ${table.tBodies[0].rows.length} shown`;
}

function compare(a, b) {
  const [x, y] = [parseFloat(a), parseFloat(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y) && x !== y) return x - y;
  return a.localeCompare(b, undefined, { numeric: true, sensitivity: "base" });
}

function sort(table, head) {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => row.cells[head.cellIndex].textContent.trim();
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => (down ? -1 : 1) * compare(key(a), key(b)));
  table.tBodies[0].append(...rows);
}

function prepare(input) {
  const table = document.getElementById(input.dataset.table);
  const output = input.parentNode.querySelector("output");
  // On a phone the style sheet shows rows as cards; the roles keep it a table.
  table.setAttribute("role", "table");
  for (const part of [table.tHead, table.tBodies[0]]) {
    part.setAttribute("role", "rowgroup");
    for (const row of part.rows) row.setAttribute("role", "row");
  }
  for (const head of table.tHead.rows[0].cells) {
    head.setAttribute("role", "columnheader");
    head.scope = "col";
    const name = head.textContent.trim();
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => sort(table, head));
    head.replaceChildren(button);
    for (const row of table.tBodies[0].rows) {
      row.cells[head.cellIndex].dataset.label = name;
      row.cells[head.cellIndex].setAttribute("role", "cell");
    }
  }
  input.value = new URLSearchParams(location.search).get("q") || input.value;
  input.addEventListener("input", () => filter(input, table, output));
  filter(input, table, output);
}

document.querySelectorAll(".entrance-filter input").forEach(prepare);
