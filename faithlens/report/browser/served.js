// The colour scheme; and where the page is served, the reload when the run has grown.

// ---- the colour scheme
const scheme = byId("scheme");
scheme.addEventListener("change", () => {
  document.documentElement.style.colorScheme = scheme.value;
});

// ---- a page that is served loads itself again when the run has grown, and keeps its filters, its chain and its place
const FIELDS = "#filters input, #filters select, #scheme";
// a chain has another number when chains before it are new
const nameChain = (chain) => [index.subjects[chain.subject], chain.question, chain.sample].join("\n");
const refreshFrom = document.querySelector('meta[name="refresh-from"]');
if (refreshFrom) {
  const kept = JSON.parse(sessionStorage.getItem("faithlens-kept") || "null");
  if (kept) {
    sessionStorage.removeItem("faithlens-kept");
    const same = chains.find((chain) => nameChain(chain) === kept.chain);
    if (same) history.replaceState(null, "", location.hash.replace(/^#q\d+/, `#q${same.number}`));
    addEventListener("load", async () => {
      for (const field of document.querySelectorAll(FIELDS)) field.value = kept.values[field.id] ?? field.value;
      byId("filters").dispatchEvent(new Event("input"));
      scheme.dispatchEvent(new Event("change"));
      await follow();
      setTimeout(() => {
        scrollTo({ top: kept.place, behavior: "instant" }); // an open chain has scrolled to its beginning by then
        history.scrollRestoration = "auto";
      });
    });
  }
  const notice = make("p", { class: "notice", role: "status", hidden: true });
  document.body.append(notice);
  const note = (words) => {
    notice.textContent = words;
    notice.hidden = !words;
  };
  setInterval(async () => {
    const answer = await fetch(refreshFrom.content).catch(() => null);
    const now = answer && (await answer.text().catch(() => null));
    if (now === null) return note("The server has stopped. This page stays as it is.");
    if (!answer.ok) return note(`The run cannot be read now: ${now.split("\n")[0]}. This page stays as it was.`);
    note("");
    if (now !== refreshFrom.dataset.version) {
      const values = Object.fromEntries([...document.querySelectorAll(FIELDS)].map((field) => [field.id, field.value]));
      sessionStorage.setItem("faithlens-kept", JSON.stringify({ values, chain: open && nameChain(open), place: scrollY }));
      history.scrollRestoration = "manual"; // the browser's own way back is to another place, since the page has grown
      location.reload();
    }
  }, 2000);
}
