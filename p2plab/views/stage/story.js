// A beat of a story above the stage: what to see and why, and the way to the beats before and after. stage.js follows in one module.

/**
 * The box of a story. `go(number)` hears which beat a person wants, `present(picture)` which picture a presented beat is about.
 * A beat is {title, at, of, words, picture}: see lab/stage.py.
 */
function storyBox({ go, present }) {
  const box = h("section", { class: "beat", "aria-label": "story", hidden: true });
  let beat = null;
  const turn = (by) => {
    const to = (beat?.at ?? 0) + by;
    if (to < 1 || to > beat.of) return false;
    go(to);
    return true;
  };
  function show(wanted) {
    box.hidden = !wanted;
    const changed = JSON.stringify(wanted ?? null) !== JSON.stringify(beat);
    if (!changed) return;
    const first = !box.childElementCount;
    beat = wanted ?? null;
    if (!beat) return;
    const kept = box.contains(document.activeElement) ? document.activeElement.className : "";
    const button = (style, words, name, by) =>
      h("button", { class: style, "aria-label": name, title: name, "aria-disabled": String(beat.at + by < 1 || beat.at + by > beat.of), onclick: () => turn(by) }, words);
    box.replaceChildren(
      h("p", { class: "title" }, h("b", {}, beat.title), ` ${beat.at} of ${beat.of}`),
      h("p", { class: "words", role: "status" }, beat.words),
      h("span", { class: "turn" }, button("previous", "◀", "previous beat", -1), button("next best", "next ▶", "next beat", 1)),
    );
    if (kept) box.querySelector(`.${kept.split(" ")[0]}`)?.focus({ preventScroll: true });
    if (!first) present(beat.picture);
  }
  return { box, show, turn, get picture() { return beat?.picture; } };
}
