// What the whole page needs: the colour scheme, the meaning of a number on hover and on focus, the arrow keys in figures,
// and where the page is served, the reload when the run has grown.
"use strict";

const byId = (id) => document.getElementById(id);

// ---- make an element: text is always text, never markup
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style") element.style.cssText = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  return fill(element, children);
}

function fill(element, ...children) {
  // children may be nested lists, and null or false where there is nothing
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

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

// ---- the colour scheme
const scheme = byId("scheme");
scheme.addEventListener("change", () => {
  document.documentElement.style.colorScheme = scheme.value;
});

// ---- a page that is served loads itself again when the run has grown, and keeps its filters and its place
const FIELDS = "#filters input, #filters select, #scheme";
const refreshFrom = document.querySelector('meta[name="refresh-from"]');
if (refreshFrom) {
  let version = null;
  const kept = JSON.parse(sessionStorage.getItem("faithlens-kept") || "null");
  if (kept) {
    sessionStorage.removeItem("faithlens-kept");
    addEventListener("load", () => {
      for (const field of document.querySelectorAll(FIELDS)) field.value = kept.values[field.id] ?? field.value;
      byId("filters").dispatchEvent(new Event("input"));
      scheme.dispatchEvent(new Event("change"));
      scrollTo(0, kept.place);
    });
  }
  setInterval(async () => {
    const answer = await fetch(refreshFrom.content).catch(() => null);
    if (!answer || !answer.ok) return;
    const now = await answer.text();
    if (version !== null && now !== version) {
      const values = Object.fromEntries([...document.querySelectorAll(FIELDS)].map((field) => [field.id, field.value]));
      sessionStorage.setItem("faithlens-kept", JSON.stringify({ values, place: scrollY }));
      location.reload();
    }
    version = now;
  }, 2000);
}
