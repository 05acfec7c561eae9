// One step: its edits side by side with the chain as written, and the answers under each.

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
