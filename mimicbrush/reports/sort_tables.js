// A click on a header sorts the rows of its table by that column, and a second click turns the order.
// Cells that begin with a number are compared as numbers, with spaces between thousands; empty cells stay last.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  const sort = (column) => {
    const keyed = [...table.tBodies[0].rows].map((row) => {
      const text = row.cells[column].textContent.trim();
      const number = parseFloat(text.replace(/(?<=\d)[\s\u00a0](?=\d{3})/g, ""));
      return { row, text, number, empty: text === "" };
    });
    const numbers = keyed.every(({ number, empty }) => empty || !Number.isNaN(number));
    const before = headers[column].getAttribute("aria-sort");
    // The largest number or the first name comes first.
    const order = { ascending: "descending", descending: "ascending" }[before] ?? (numbers ? "descending" : "ascending");
    headers.forEach((header) => header.removeAttribute("aria-sort"));
    headers[column].setAttribute("aria-sort", order);
    const compare = (a, b) => (numbers ? a.number - b.number : a.text.localeCompare(b.text));
    const sign = order === "ascending" ? 1 : -1;
    keyed.sort((a, b) => a.empty - b.empty || sign * compare(a, b));
    table.tBodies[0].append(...keyed.map(({ row }) => row));
  };
  headers.forEach((header, column) => {
    header.tabIndex = 0;
    header.addEventListener("click", () => sort(column));
    header.addEventListener("keydown", (event) => event.key === "Enter" && sort(column));
  });
}
