
// A saved page: the stage, a link's step (page.html#7), the token to copy. Follows stage.js in one module.
const saved = savedPage(document.getElementById("stage"), JSON.parse(document.getElementById("run").textContent), {
  moved: (step) => history.replaceState(null, "", `#${step}`),
});
const linked = () => saved.go(Number.parseInt(location.hash.slice(1), 10) || 0);
addEventListener("hashchange", linked);
linked();
// Keys work from wherever the reader is, but not where they have a meaning of their own.
document.addEventListener("keydown", (event) => event.target === document.body && saved.key(event));
document.getElementById("copy").onclick = async () => {
  const [token, copied] = [document.getElementById("token"), document.getElementById("copied")];
  try {
    await navigator.clipboard.writeText(token.textContent);
    copied.value = "copied";
  } catch {
    // Some browsers lend no clipboard to a file: then the reader's own keys have it.
    getSelection().selectAllChildren(token);
    copied.value = "selected: press Ctrl+C";
  }
};
