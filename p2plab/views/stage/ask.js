// A question on the picture: cells, actors or steps of the stage that can be chosen, and what became of it once it was answered.
// stage.js, which follows in one module, calls `mark` after each drawing.

const VERDICTS = { right: ["✓", "right"], wrong: ["✗", "not this one"], missed: ["!", "this one, too"] };

/**
 * Questions of the stage in `root`: `choose(choice)` hears what a person picks, `playTo(step)` plays the answer.
 * A question is {sort, places: [[choice, place]], several, chosen, verdicts, to, asks}: see lab/stage.py.
 */
function questions(root, { choose, playTo }) {
  let asked = null;
  let places = new Map(); // the key of a cell, an actor's name or a step -> the choice that it is
  let played = null;
  const open = () => asked && !asked.verdicts;
  const sign = (choice) => VERDICTS[asked.verdicts?.[choice]] ?? (asked.chosen.includes(choice) ? ["●", "chosen"] : ["", ""]);
  const style = (choice) => `${asked.chosen.includes(choice) ? " chosen" : ""}${asked.verdicts?.[choice] ? ` was-${asked.verdicts[choice]}` : ""}`;
  const role = () => (asked.several ? "checkbox" : "radio");

  function markCells() {
    for (const cell of root.querySelectorAll(".chain .cell")) {
      const choice = places.get(cell.dataset.k);
      cell.querySelector(".verdict")?.remove();
      if (choice === undefined) continue;
      const [mark, words] = sign(choice);
      cell.setAttribute("class", `${cell.getAttribute("class")} choice${style(choice)}`);
      cell.setAttribute("role", role());
      cell.setAttribute("aria-checked", String(asked.chosen.includes(choice)));
      if (words) cell.setAttribute("aria-label", `${cell.dataset.said} (${words})`);
      if (!mark) continue;
      const text = document.createElementNS(NS, "text");
      text.setAttribute("class", "verdict");
      text.setAttribute("x", parseFloat(cell.querySelector(".face").style.width) - 9);
      text.setAttribute("y", 17);
      text.textContent = mark;
      cell.append(text);
    }
  }

  /** A button that lies over what it chooses. */
  function overlay(home, choice, words, attributes) {
    const [mark, said] = sign(choice);
    const key = JSON.stringify([choice, words, mark, open(), style(choice), attributes, asked.several]);
    let made = home.querySelector(`:scope > .pick-it[data-choice="${CSS.escape(choice)}"]`);
    if (!made) {
      made = h("button", { class: "pick-it", "data-choice": choice });
      home.append(made);
    }
    if (made.dataset.key === key) return made;
    made.dataset.key = key;
    made.className = `pick-it${style(choice)}`;
    made.setAttribute("role", role());
    made.setAttribute("aria-checked", String(asked.chosen.includes(choice)));
    made.setAttribute("aria-disabled", String(!open()));
    made.setAttribute("aria-label", said ? `${words} (${said})` : words);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.replaceChildren(h("span", { "aria-hidden": "true" }, mark));
    return made;
  }
  function markActors() {
    for (const row of root.querySelectorAll(".now li")) {
      const name = row.querySelector("b")?.textContent;
      if (places.has(name)) overlay(row, places.get(name), name, { "data-ask": row.dataset.ask, "data-said": row.dataset.said });
    }
  }
  function markSteps(run, { x0, x1, foot }) {
    const lanes = root.querySelector(".lanes");
    const group = lanes.querySelector(".steps-to-pick") ?? lanes.appendChild(h("div", { class: "steps-to-pick", role: "group", "aria-label": "steps" }));
    const unit = (x1 - x0) / Math.max(1, run.end);
    group.style.cssText = `height:${foot}px`;
    for (const [step, choice] of places) {
      const mark = run.marks.find(([, kind, first]) => kind === "step" && first === Number(step));
      const words = mark ? `step ${step}, ${mark[0]}: ${mark[4]}` : `step ${step}`;
      const made = overlay(group, choice, words, { "data-ask": "step", "data-said": words, style: `left:${x0 + unit * (step - 0.5)}px;width:${unit}px` });
      made.tabIndex = -1;
    }
    const all = [...group.children];
    (all.find((one) => one === document.activeElement) ?? all.find((one) => one.matches(".chosen")) ?? all[0]).tabIndex = 0;
  }

  // Before anybody else hears it: what can be chosen does not also follow, step or unfold.
  root.addEventListener(
    "click",
    (event) => {
      const choice = event.target.closest?.(".pick-it")?.dataset.choice ?? places.get(event.target.closest?.(".chain .cell.choice")?.dataset.k);
      if (choice === undefined || !asked) return;
      event.stopPropagation();
      if (open()) choose(choice);
    },
    true,
  );
  root.addEventListener(
    "keydown",
    (event) => {
      const cell = event.target.closest?.(".chain .cell.choice");
      const step = event.target.closest?.(".steps-to-pick .pick-it");
      const along = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
      if (step && along) {
        const next = step[along] ?? step;
        step.tabIndex = -1;
        next.tabIndex = 0;
        next.focus({ preventScroll: true });
      } else if (cell && open() && (event.key === "Enter" || event.key === " ")) choose(places.get(cell.dataset.k));
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );

  return {
    /** `question`: what is asked, or nothing; `placed`: where the timeline's steps are. */
    mark(question, run, placed) {
      const now = question?.places ? question : null;
      if (now?.id !== asked?.id) for (const old of root.querySelectorAll(".pick-it, .steps-to-pick")) old.remove();
      asked = now;
      places = new Map(asked ? asked.places.map(([choice, place]) => [place, choice]) : []);
      root.classList.toggle("asks", Boolean(open()));
      if (!asked) return;
      if (asked.sort === "cell") markCells();
      else if (asked.sort === "actor") markActors();
      else if (asked.sort === "step" && placed) markSteps(run, placed);
      if (!asked.verdicts || played === asked.id || run.end < asked.to) return; // the rest of the run comes in a message of its own
      played = asked.id;
      playTo(asked.to);
    },
  };
}
