// The chains: a list with filters, search and order, and one chain in full. The address holds what is open: #q12/step3.

const index = JSON.parse(byId("index").textContent);
const chains = (index.chains.question || []).map((_, i) =>
  Object.fromEntries([["number", i + 1], ...Object.entries(index.chains).map(([name, column]) => [name, column[i]])]),
);
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

// ---- chunks of chains: gzip in base64, unpacked when they are first needed
const packed = [...document.querySelectorAll("script.chunk")];
const unpacked = [];
function unpack(number) {
  unpacked[number] ??= (async () => {
    const bytes = Uint8Array.from(atob(packed[number].textContent.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  })();
  return unpacked[number];
}
async function readChain(chain) {
  const chunk = await unpack(Math.floor((chain.number - 1) / index.chunk));
  return chunk[(chain.number - 1) % index.chunk];
}

// ---- search: the words of every chain, its edits and its answers, in small letters
let texts = null;
async function readTexts() {
  texts ??= Promise.all(
    chains.map(async (chain) => {
      const { prompt, steps, said, counterfactual, edits = [] } = await readChain(chain);
      const edited = edits.flatMap((edit) => [edit.after, edit.tail]);
      return [chain.question, prompt, steps.join(""), said, counterfactual, ...edited].join("\n").toLowerCase();
    }),
  );
  return texts;
}

// ---- filters
const gateOf = (chain, gate) => (gate === "" ? chain.outcome[0] : chain.gates[index.gates.indexOf(gate)]);

function passes(chain) {
  const value = (id) => (fields[id] ? fields[id].value : "");
  if (value("by-subject") !== "" && chain.subject !== Number(value("by-subject"))) return false;
  if (value("by-outcome") && gateOf(chain, value("by-gate")) !== value("by-outcome")) return false;
  if (value("by-cell") && chain.cell !== value("by-cell")) return false;
  if (value("by-answer") && chain.is_right !== (value("by-answer") === "right")) return false;
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
  byId("more").hidden = shown.length <= lines;
  byId("count").textContent = shown.length === chains.length ? `${chains.length}` : `${shown.length} of ${chains.length}`;
}

function drawLine(chain) {
  const answer = chain.is_right === null ? "" : chain.is_right ? "right" : "wrong";
  const details = [answer && `answer ${answer}`, `${chain.steps} steps`, index.subjects.length > 1 && index.subjects[chain.subject]];
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

// ---- one chain
async function openChain(number, step) {
  const chain = chains[number - 1];
  if (!chain) return;
  const isNew = open !== chain;
  const detail = isNew ? await showChain(chain) : await readChain(chain);
  reader.classList.add("is-open");
  if (isNew) reader.scrollIntoView({ block: "start", behavior: "instant" });
  selectStep(chain, detail, step);
}

async function showChain(chain) {
  open = chain;
  for (const link of list.querySelectorAll("a")) {
    if (link.hash === `#q${chain.number}`) {
      link.setAttribute("aria-current", "true");
      scrollInside(link);
    } else link.removeAttribute("aria-current");
  }
  const detail = await readChain(chain).catch((error) => {
    fill(view, make("p", {}, "This browser cannot unpack the chains. A newer one can: they need DecompressionStream."));
    throw error;
  });
  if (open === chain) drawChain(chain, detail);
  return detail;
}

function scrollInside(link) {
  const [box, at, room] = [list.parentElement, link.getBoundingClientRect(), list.parentElement.getBoundingClientRect()];
  if (at.top < room.top || at.bottom > room.bottom) box.scrollTop += at.top - room.top - 80;
}

function closeChain() {
  reader.classList.remove("is-open");
  const number = open ? open.number : null;
  history.replaceState(null, "", "#chains");
  open = null;
  const line = number && list.querySelector(`a[href="#q${number}"]`);
  (line || fields.search).focus();
}

const odds = (share) => (share / 1000).toFixed(3).replace(/^0/, "");
const textBox = (words, kind = "box") => make("div", { class: `text ${kind}`, dir: "auto", tabindex: kind === "box" ? "0" : null }, words);
const hasFold = (words) => words.length > 600;

function drawChain(chain, detail) {
  const at = shown.indexOf(chain);
  const move = (to, words) => make("button", { type: "button", disabled: !shown[to], onclick: () => goTo(shown[to].number) }, words);
  const prompt = hasFold(detail.prompt)
    ? make("details", {}, make("summary", {}, `The prompt (${detail.prompt.length.toLocaleString("en")} characters)`), textBox(detail.prompt))
    : [make("h4", {}, "The prompt"), textBox(detail.prompt)];
  view.setAttribute("aria-label", `Chain q${chain.number}`);
  fill(view,
    make("div", { class: "tools" },
      make("button", { type: "button", class: "back", onclick: closeChain }, "Back to the list"),
      move(at - 1, "Previous"), move(at + 1, "Next")),
    make("h3", {}, `q${chain.number} `, make("bdi", {}, chain.question), " ", drawChip(chain.outcome)),
    make("p", { class: "soft" }, [index.subjects[chain.subject], `cell: ${chain.cell} (${index.cells[chain.cell]})`, detail.n_tokens && `${detail.n_tokens} tokens`].filter(Boolean).join(" · ")),
    prompt,
    detail.counterfactual && make("details", {}, make("summary", {}, "The counterfactual question"), textBox(detail.counterfactual)),
    make("h4", {}, "The chain of thought"), drawShadeChoice(chain, detail),
    make("ol", { class: "steps", id: "steps" }),
    make("p", { class: "answers" }, detail.predicted !== undefined && ["Answer: ", make("b", {}, detail.predicted), "; "], "right answer: ", make("b", {}, detail.answer ?? "unknown"), ".",
      detail.finish === "length" && " The model did not finish its chain of thought."),
    detail.sentence && make("p", { id: "sentence" }, detail.sentence),
    detail.said && [make("h4", {}, "Written after the thoughts"), textBox(detail.said)],
    make("h4", {}, "What the gates say"),
    make("ul", { class: "gate-list" }, (detail.gates || []).map(([gate, outcome, reason]) => make("li", {}, drawChip(outcome), " ", make("b", {}, gate), reason ? ` ${reason}` : ""))),
    drawConditions(detail), drawScores(detail),
  );
  drawSteps(chain, detail, Object.keys(detail.shades || {})[0]);
}

// ---- steps, shaded by their effect
function drawShadeChoice(chain, detail) {
  const choices = Object.keys(detail.shades || {});
  if (!choices.length) return make("p", { class: "soft" }, "No effect of single steps was measured on this question.");
  const words = make("small", { id: "shade-words" });
  const select = make("select", { onchange: () => drawSteps(chain, detail, select.value) }, choices.map((choice) => make("option", { value: choice }, labelOf(index.measures[choice]))));
  return make("p", {}, make("label", {}, "Shade and number: ", select), words);
}

function drawSteps(chain, detail, shade) {
  const effects = shade === undefined ? [] : detail.shades[shade];
  const name = index.measures[shade];
  const words = byId("shade-words");
  if (words) words.textContent = meaningOf(name) + (index.inverse.includes(name) ? " Shown is 1 less this number." : "");
  const buttons = detail.steps.map((text, k) => {
    const effect = effects[k] ?? null;
    const size = effect === null ? 0 : Math.min(Math.abs(effect), 1) * 70;
    const tone = effect !== null && effect < 0 ? "var(--counter)" : "var(--shade)";
    return make("li", {},
      make("button", { type: "button", id: `step-${k + 1}`, "aria-expanded": "false", style: `--effect: ${size}%; --tone: ${tone}`, onclick: () => goTo(chain.number, isOpen(k + 1) ? null : k + 1),
        "data-measure": name, "data-tip": effect === null ? "Not measured at this step." : `${name && index.inverse.includes(name) ? "1 less the number: " : ""}${effect.toFixed(3)}; one chain, so there is no interval.` },
        make("span", { class: "soft" }, `${k + 1}`), make("span", { class: "text", dir: "auto" }, text.trim()), make("span", { class: "effect" }, effect === null ? "" : effect.toFixed(2).replace("-", "−").replace("−0.00", "0.00"))));
  });
  fill(byId("steps"), buttons);
  const { step } = readAddress();
  if (step) selectStep(chain, detail, step, false);
}

const isOpen = (step) => byId(`step-${step}`)?.getAttribute("aria-expanded") === "true";

function selectStep(chain, detail, step, scrolls = true) {
  for (const button of view.querySelectorAll('[aria-expanded="true"]')) button.setAttribute("aria-expanded", "false");
  byId("step")?.remove();
  const button = step && byId(`step-${step}`);
  if (!button) {
    return;
  }
  button.setAttribute("aria-expanded", "true");
  const panel = drawStep(detail, step - 1);
  button.parentElement.append(panel);
  if (scrolls) button.parentElement.scrollIntoView({ block: "nearest", behavior: "instant" });
}

// ---- one step: its edits side by side with the chain as written, and the answers under each
function drawStep(detail, k) {
  const edits = (detail.edits || []).filter((edit) => edit.step === k);
  const own = (detail.answers || []).filter(([condition]) => index.conditions[condition].step === k);
  const written = new Set(edits.map((edit) => edit.condition));
  const made = own.filter(([condition]) => !written.has(condition)).map((row) => [row, listEditedSteps(index.conditions[row[0]].name, detail.steps, k)]);
  return make("section", { class: "step", id: "step", "aria-label": `Step ${k + 1}` },
    make("h4", {}, `Step ${k + 1}: what was done to it, and what the model answered`),
    edits.map((edit) => drawEdit(detail, edit, k)),
    made.filter(([, steps]) => steps).map(([row, steps]) => drawSides(describeCondition(row[0]), "Steps were only taken out; nothing was written.", detail.steps, steps, k, null, findAnswer(detail, row))),
    !edits.length && !own.length && make("p", { class: "soft" }, "No edit of this step was made."),
    own.length > 0 && drawOdds(detail, [...(detail.answers || []).filter(([condition]) => index.conditions[condition].name === "full"), ...own], "Answer probabilities"));
}

function describeCondition(number) {
  const { group, words } = index.conditions[number];
  return `${group}: ${words}`;
}

function findAnswer(detail, row) {
  const shares = row.slice(1);
  return nameOption(detail, row[0], shares.indexOf(Math.max(...shares)));
}

function nameOption(detail, condition, place) {
  const known = (detail.candidates || [])[place];
  if (known !== undefined) return known;
  return (detail.edits || []).find((edit) => edit.condition === condition)?.implied ?? "another";
}

function listEditedSteps(name, steps, k) {
  const kind = name.split("@")[0];
  if (kind === "cut") return steps.slice(0, k + 1);
  if (kind === "delete") return steps.map((step, i) => (i === k ? "" : step));
  return null;
}

function drawEdit(detail, edit, k) {
  const condition = edit.condition === undefined ? null : index.conditions[edit.condition];
  const title = condition ? describeCondition(edit.condition) : edit.kind[0].toUpperCase() + edit.kind.slice(1);
  const by = `Written by ${edit.by}.`;
  if (edit.invalid || edit.after === undefined) {
    return make("div", {}, make("h4", {}, title), make("p", { class: "soft" }, `${by} Not scored: ${edit.invalid ?? "nothing was written"}.`), edit.after?.trim() && textBox(edit.after));
  }
  const isNew = edit.tail !== undefined || (condition && /^(regenerated|propagate|paraphrase)@/.test(condition.name));
  const tail = isNew ? [edit.tail ?? ""].filter(Boolean) : detail.steps.slice(k + 1);
  const edited = [...detail.steps.slice(0, k), edit.after, ...tail];
  const more = [edit.implied !== undefined && `The edit implies ${edit.implied}.`, edit.outcome && `Outcome: ${index.outcomes[edit.outcome] ?? edit.outcome}.`];
  return drawSides(title, [by, ...more].filter(Boolean).join(" "), detail.steps, edited, k, isNew ? k + 1 : null, edit.answer);
}

function drawSides(title, words, clean, edited, k, newFrom, answer) {
  const far = k > 0 ? make("li", { class: "far" }, k === 1 ? "(step 1 unchanged)" : `(steps 1 to ${k} unchanged)`) : null;
  const [before, after] = markChange(clean[k], edited[k]);
  const rest = (steps, isNew) => steps.slice(k + 1).map((step) => make("li", { class: "text", dir: "auto" }, isNew ? make("mark", {}, step.trim()) : step.trim()));
  const side = (name, first, others) => make("div", {}, make("h5", {}, name), make("ol", {}, far?.cloneNode(true), make("li", { class: "text", dir: "auto" }, first.some(Boolean) ? first : make("span", { class: "far" }, "(deleted)")), others));
  const isCut = edited.length <= k + 1 && clean.length > k + 1 && newFrom === null;
  return make("div", {},
    make("h4", {}, title), make("p", { class: "soft" }, words),
    make("div", { class: "sides" },
      side("Clean", before, rest(clean, false)),
      side(answer === undefined ? "Edited" : `Edited: the model answers ${answer}`, after, isCut ? make("li", { class: "far" }, "(nothing after this)") : rest(edited, newFrom !== null))));
}

function markChange(before, after) {
  // the words that both begin and end with are left, what lies between is marked
  const [a, b] = [before, after].map((text) => text.trim().split(/(?<=\s)/u));
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  return [a, b].map((words) => {
    const middle = words.slice(start, words.length - end).join("");
    return [words.slice(0, start).join(""), middle && make("mark", {}, middle), words.slice(words.length - end).join("")];
  });
}

// ---- answer probabilities
function drawOdds(detail, rows, title) {
  const width = Math.max(...rows.map((row) => row.length - 1));
  const names = Array.from({ length: width }, (_, place) => (detail.candidates || [])[place] ?? "implied");
  const drawCell = (row, place) => {
    const share = row[place + 1];
    if (share === undefined) return make("td", {}, "");
    const isTop = share === Math.max(...row.slice(1));
    const words = `${title}: probability ${odds(share)} of ${nameOption(detail, row[0], place)}, among the options, after “${describeCondition(row[0])}”. One chain, so there is no interval.`;
    return make("td", { class: isTop ? "top" : null, style: `--p: ${(share / 1000) * 55}%`, "data-tip": words }, odds(share));
  };
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
    rove(make("table", { class: "odds" },
      make("caption", { class: "hidden" }, title),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "condition"), names.map((name) => make("th", { scope: "col", dir: "auto" }, name)))),
      make("tbody", {}, rows.map((row) => make("tr", {}, make("th", { scope: "row" }, describeCondition(row[0])), row.slice(1).map((_, place) => drawCell(row, place))))))));
}

function drawConditions(detail) {
  const rows = detail.answers || [];
  if (!rows.length) return null;
  const groups = groupRows(rows);
  return [
    make("h4", {}, `Answer probabilities under every condition (${rows.length})`),
    [...groups].map(([group, some]) => drawLater(`${group} (${some.length})`, () => drawOdds(detail, some, group))),
  ];
}

function groupRows(rows) {
  const groups = new Map();
  for (const row of rows) {
    const { group } = index.conditions[row[0]];
    groups.set(group, [...(groups.get(group) || []), row]);
  }
  return groups;
}

function drawLater(title, draw) {
  // what is made only when it is opened
  const box = make("details", { ontoggle: () => box.children.length === 1 && box.append(draw()) }, make("summary", {}, title));
  return box;
}

function drawScores(detail) {
  if (!(detail.scores || []).length) return null;
  const line = ([measure, value, reason]) => {
    const name = index.measures[measure];
    const tipped = { type: "button", class: "num", "data-measure": name, "data-tip": "One chain, so there is no interval." };
    return make("tr", {}, make("th", { scope: "row" }, labelOf(name), make("small", {}, make("code", {}, name))), make("td", {}, value === null ? make("span", { class: "none" }, `undefined: ${reason}`) : make("button", tipped, String(value))));
  };
  return drawLater(`All numbers of this chain (${detail.scores.length})`, () =>
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "All numbers of this chain" },
      make("table", {}, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "measure"), make("th", { scope: "col" }, "value"))), make("tbody", {}, detail.scores.map(line)))));
}

// ---- the address
function readAddress() {
  const match = /^#q(\d+)(?:\/step(\d+))?$/.exec(location.hash);
  return match ? { number: Number(match[1]), step: match[2] ? Number(match[2]) : null } : {};
}
function goTo(number, step = null) {
  location.hash = step ? `#q${number}/step${step}` : `#q${number}`;
}
function follow() {
  const { number, step } = readAddress();
  if (number) openChain(number, step);
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
