// The address, which names what is open (#q12/step3), the keys, and the links from the rest of the page to the chains.

// ---- the address
function readAddress() {
  const match = /^#q(\d+)(?:\/step(\d+))?$/.exec(location.hash);
  return match ? { number: Number(match[1]), step: match[2] ? Number(match[2]) : null } : {};
}
function goTo(number, step = null) {
  location.hash = step ? `#q${number}/step${step}` : `#q${number}`;
}
async function follow() {
  const { number } = readAddress();
  if (number) await openChain(number);
}

// ---- keys
const findCurrent = () => chains[readAddress().number - 1] || open; // keys may be faster than the page
function moveChain(by) {
  const current = findCurrent();
  const next = shown[current ? shown.indexOf(current) + by : 0];
  if (next) goTo(next.number);
}
function moveStep(by) {
  const current = findCurrent();
  const next = current && (readAddress().step || (by > 0 ? 0 : current.steps + 1)) + by;
  if (next >= 1 && next <= current.steps) goTo(current.number, next);
}
const KEYS = { j: () => moveChain(1), k: () => moveChain(-1), ArrowRight: () => moveStep(1), ArrowLeft: () => moveStep(-1), "/": () => fields.search.focus() };
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea");
  if (event.key === "Escape" && open) return closeChain();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

// ---- gates and cells on the rest of the page are links to the chains behind them
for (const link of document.querySelectorAll("a[data-subject]")) {
  link.addEventListener("click", () => {
    byId("filters").reset();
    if (fields["by-subject"]) fields["by-subject"].value = link.dataset.subject;
    fields["by-gate"].value = link.dataset.gate || "";
    fields["by-outcome"].value = { fail: "f" }[link.dataset.outcome] || "";
    fields["by-cell"].value = link.dataset.cell || "";
    reader.classList.remove("is-open");
    filter();
  });
}

for (const gate of index.gates) fields["by-gate"].append(make("option", { value: gate }, gate));
for (const [state, words] of Object.entries(index.answers)) fields["by-answer"].append(make("option", { value: state }, words));
for (const cell of Object.keys(index.cells)) fields["by-cell"].append(make("option", { value: cell }, cell));
byId("filters").addEventListener("input", filter);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("reset", () => setTimeout(filter));
byId("more").addEventListener("click", () => {
  lines += PAGE;
  drawList();
});
addEventListener("hashchange", follow);
drawList();
follow();
if (!open && !readAddress().number && chains.length && !matchMedia("(max-width: 860px)").matches) {
  // beside the list there is room for a chain: the first that fails, else the first
  showChain(chains.find((chain) => chain.outcome === "fail") || chains[0]);
}
