// Sorts and filters the cards of each set. The choice is kept in the address, after #, so that it can be shared:
// #SET.order=worst&SET.editor=NAME&SET.metric=NAME&SET.seed=1&SET.failed=1
"use strict";

const FIELDS = ["order", "editor", "metric", "seed", "failed"];

function start(section) {
  const form = section.querySelector(".controls");
  const list = section.querySelector(".cards");
  const cards = [...list.children];
  const field = (name) => form.elements[name];

  // The edit that the card is judged by.
  const edit = (card) =>
    [...card.querySelectorAll(".edit")].find(
      (one) => one.dataset.editor === field("editor").value && one.dataset.seed === field("seed").value,
    );

  // From worst to best: failed edits, then values, then edits that have none, which stay last in either order.
  function compare(a, b, order) {
    const edits = [edit(a), edit(b)];
    const failed = edits.map((one) => one && one.classList.contains("failed"));
    if (failed[0] !== failed[1]) return failed[0] ? -1 : 1;
    const values = edits.map((one) => {
      const row = one && one.querySelector(`[data-metric="${field("metric").value}"][data-value]`);
      return row ? Number(row.dataset.value) : null;
    });
    if (values[0] === null || values[1] === null) return (values[0] === null) - (values[1] === null);
    const rising = (field("metric").selectedOptions[0].dataset.better !== "lower") === (order === "worst");
    if (values[0] === values[1]) return 0;
    return values[0] < values[1] === rising ? -1 : 1;
  }

  // A number that does not judge has no worst end.
  function nameOrders() {
    const judges = field("metric").selectedOptions[0].dataset.better !== "";
    const names = { id: "by id", worst: judges ? "worst first" : "lowest first", best: judges ? "best first" : "highest first" };
    for (const option of field("order").options) option.textContent = names[option.value];
  }

  function show() {
    const order = field("order").value;
    nameOrders();
    const sorted = order === "id" ? cards : [...cards].sort((a, b) => compare(a, b, order));
    let shown = 0;
    for (const card of sorted) {
      const edits = [...card.querySelectorAll(".edit")];
      for (const one of edits) one.hidden = one.dataset.seed !== field("seed").value;
      card.hidden = field("failed").checked && !edits.some((one) => !one.hidden && one.classList.contains("failed"));
      shown += !card.hidden;
      for (const row of card.querySelectorAll(".chosen")) row.classList.remove("chosen");
      const chosen = order !== "id" && edit(card);
      const row = chosen && chosen.querySelector(`[data-metric="${field("metric").value}"]`);
      if (row) row.classList.add("chosen");
      list.append(card);
    }
    form.querySelector("output").textContent = `${shown} of ${cards.length} samples`;
  }

  // Returns whether the address names this set.
  function readAddress() {
    const address = new URLSearchParams(location.hash.slice(1));
    let named = false;
    for (const name of FIELDS) {
      const value = address.get(`${section.dataset.set}.${name}`);
      if (value === null) continue;
      named = true;
      if (name === "failed") field(name).checked = value === "1";
      else if ([...field(name).options].some((option) => option.value === value)) field(name).value = value;
    }
    return named;
  }

  function writeAddress() {
    const address = new URLSearchParams(location.hash.slice(1));
    for (const name of FIELDS) {
      const value = name === "failed" ? String(Number(field(name).checked)) : field(name).value;
      address.set(`${section.dataset.set}.${name}`, value);
    }
    history.replaceState(null, "", `#${address}`);
  }

  function follow() {
    if (!readAddress()) return;
    show();
    section.scrollIntoView();
  }

  form.hidden = false;
  section.classList.add("live");
  form.addEventListener("change", (event) => {
    // Who chooses an editor or a metric wants to see its order.
    if (["editor", "metric"].includes(event.target.name) && field("order").value === "id") field("order").value = "worst";
    writeAddress();
    show();
  });
  addEventListener("hashchange", follow);
  show();
  follow();
}

document.querySelectorAll(".samples").forEach(start);
