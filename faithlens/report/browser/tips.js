// The meaning of a number on hover and on focus, and the arrow keys in figures and tables.

// ---- the meaning of each measure, from the list at the end of the page
const meanings = {};
for (const entry of document.querySelectorAll("#glossary [data-name]")) {
  const label = entry.querySelector("dt").firstChild.textContent.trim();
  meanings[entry.dataset.name] = { label, meaning: entry.querySelector("dd").textContent };
}
const labelOf = (name) => (meanings[name] ? meanings[name].label : name);
const meaningOf = (name) => (meanings[name] ? meanings[name].meaning : "");

// ---- tips
const tip = byId("tip");
const TIPPED = "[data-tip], [data-measure]";

function describe(element) {
  const { tip: words, measure } = element.dataset;
  const own = words || (element.classList.contains("mark") ? element.getAttribute("aria-label") : "");
  return [measure ? `${labelOf(measure)}. ${meaningOf(measure)}` : "", own].filter(Boolean).join("\n");
}

function showTip(element) {
  tip.textContent = describe(element);
  if (!tip.textContent) return;
  tip.hidden = false;
  element.setAttribute("aria-describedby", "tip");
  const at = element.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left), innerWidth - tip.offsetWidth - 8);
  const below = at.bottom + 8 + tip.offsetHeight < innerHeight;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${below ? at.bottom + 8 : Math.max(8, at.top - tip.offsetHeight - 8)}px`;
}

function hideTip() {
  tip.hidden = true;
  for (const element of document.querySelectorAll('[aria-describedby="tip"]')) element.removeAttribute("aria-describedby");
}

for (const [shows, hides] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  document.addEventListener(shows, (event) => {
    const element = event.target.closest?.(TIPPED);
    if (element) showTip(element);
  });
  document.addEventListener(hides, hideTip);
}
addEventListener("scroll", () => {
  const focused = document.activeElement;
  if (focused?.matches(TIPPED) && focused.matches(":focus-visible")) showTip(focused);
  else hideTip();
}, { passive: true, capture: true });
addEventListener("keydown", (event) => event.key === "Escape" && hideTip());

// ---- figures and tables of probabilities: one stop of the tab key each, then arrow keys from number to number
const ROVING = ".chart, .odds";
const listItems = (box) => [...box.querySelectorAll(box.matches(".odds") ? "td[data-tip]" : ".mark")];

function rove(box) {
  const items = listItems(box);
  items.forEach((item, i) => item.setAttribute("tabindex", i ? "-1" : "0"));
  return box;
}

document.querySelectorAll(ROVING).forEach(rove);
document.addEventListener("keydown", (event) => {
  const box = event.target.closest?.(ROVING);
  const items = box ? listItems(box) : [];
  const at = items.indexOf(event.target);
  const row = box?.matches(".odds") ? event.target.parentElement.querySelectorAll("td[data-tip]").length : 1;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row }[event.key];
  if (!step || at < 0) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const next = items[at + step];
  if (!next) return;
  event.target.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
});
