// One chain in full: its prompt, its steps shaded by their effect, its gates, and the answers under every condition.

// ---- one chain
async function openChain(number) {
  const chain = chains[number - 1];
  if (!chain) return;
  const isNew = open !== chain;
  const detail = isNew ? await showChain(chain) : await readChain(chain);
  if (open !== chain) return; // another chain was opened, or this one closed, while its text was unpacked
  reader.classList.add("is-open");
  if (isNew) reader.scrollIntoView({ block: "start", behavior: "instant" });
  selectStep(detail, readAddress().step);
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
    make("p", { class: "answers" }, detail.predicted !== undefined && ["Answer: ", make("b", {}, detail.predicted), "; "], chain.answer === "unknown" ? "the right answer is not known." : ["right answer: ", make("b", {}, detail.answer), "."],
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
  if (step) selectStep(detail, step, false);
}

const isOpen = (step) => byId(`step-${step}`)?.getAttribute("aria-expanded") === "true";

function selectStep(detail, step, scrolls = true) {
  for (const button of view.querySelectorAll('[aria-expanded="true"]')) button.setAttribute("aria-expanded", "false");
  byId("step")?.remove();
  const button = step && byId(`step-${step}`);
  if (!button) return;
  button.setAttribute("aria-expanded", "true");
  const panel = drawStep(detail, step - 1);
  button.parentElement.append(panel);
  if (scrolls) button.parentElement.scrollIntoView({ block: "nearest", behavior: "instant" });
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
