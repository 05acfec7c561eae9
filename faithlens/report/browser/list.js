// The list of chains: filters, search and order.

const PAGE = 300; // lines of the list that are made at once
const fields = Object.fromEntries(
  ["search", "by-subject", "by-gate", "by-outcome", "by-cell", "by-answer", "sort"].map((id) => [id, byId(id)]),
);
const list = byId("list");
const view = byId("chain");
const reader = document.querySelector(".reader");
let shown = chains; // the chains that pass the filters, in order
let lines = PAGE;
let open = null; // the chain that is shown in full

// ---- filters
const gateOf = (chain, gate) => (gate === "" ? chain.outcome[0] : chain.gates[index.gates.indexOf(gate)]);

function passes(chain) {
  const value = (id) => (fields[id] ? fields[id].value : "");
  if (value("by-subject") !== "" && chain.subject !== Number(value("by-subject"))) return false;
  if (value("by-outcome") && gateOf(chain, value("by-gate")) !== value("by-outcome")) return false;
  if (value("by-cell") && chain.cell !== value("by-cell")) return false;
  if (value("by-answer") && chain.answer !== value("by-answer")) return false;
  return true;
}

const ORDERS = {
  effect: (a, b) => Math.abs(b.effect ?? -1) - Math.abs(a.effect ?? -1),
  steps: (a, b) => b.steps - a.steps,
  outcome: (a, b) => "fop".indexOf(a.outcome[0]) - "fop".indexOf(b.outcome[0]),
};

async function filter() {
  const words = fields.search.value.trim().toLowerCase();
  const all = words ? await readTexts() : null;
  if (words !== fields.search.value.trim().toLowerCase()) return; // typed on meanwhile
  shown = chains.filter((chain, i) => passes(chain) && (!words || all[i].includes(words)));
  if (fields.sort.value) shown = shown.slice().sort(ORDERS[fields.sort.value]);
  lines = PAGE;
  drawList();
}

function drawList() {
  fill(list, shown.slice(0, lines).map(drawLine));
  byId("none").hidden = shown.length > 0;
  byId("more").hidden = shown.length <= lines;
  byId("count").textContent = shown.length === chains.length ? `${chains.length}` : `${shown.length} of ${chains.length}`;
}

function drawLine(chain) {
  const details = [index.answers[chain.answer], `${chain.steps} steps`, index.subjects.length > 1 && index.subjects[chain.subject]];
  return make(
    "li", {},
    make("a", { href: `#q${chain.number}`, "aria-current": chain === open ? "true" : null },
      make("span", { class: "top" },
        make("b", {}, `q${chain.number}`),
        make("span", { class: "grow", dir: "auto" }, chain.question + (chain.sample ? `, chain ${chain.sample + 1}` : "")),
        drawChip(chain.outcome)),
      make("span", { class: "about", dir: "auto" }, chain.about),
      make("small", {}, details.filter(Boolean).join(" · "))),
  );
}

const drawChip = (outcome) => make("span", { class: `chip ${outcome}` }, outcome);
