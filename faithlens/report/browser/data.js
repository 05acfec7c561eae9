// The chains: an index of all of them, and their texts in compressed chunks that are unpacked when they are first needed.

const index = JSON.parse(byId("index").textContent);
const chains = (index.chains.question || []).map((_, i) =>
  Object.fromEntries([["number", i + 1], ...Object.entries(index.chains).map(([name, column]) => [name, column[i]])]),
);

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
