// Steps through a run that was written into the page: a first state, and what changed at every later step.
"use strict";
(async () => {
  const { items, first, later } = JSON.parse(document.getElementById("run").textContent);
  const last = later.length;
  const find = (id) => document.getElementById(id);
  const panes = [...document.querySelectorAll("[data-pane]")];
  const drawings = {};
  let shown = {}; // what the page shows now
  let state = first; // what is true at `step`
  let step = 0;
  let due = false;

  const changed = (old, change) => {
    if (typeof change !== "object" || Array.isArray(change)) return change;
    const copy = [...old];
    for (const [place, value] of Object.entries(change.at)) copy[place] = value;
    return copy;
  };
  const go = (wanted) => {
    wanted = Math.max(0, Math.min(last, wanted));
    if (wanted < step) [state, step] = [first, 0];
    for (; step < wanted; step++) {
      const next = { ...state };
      for (const [name, change] of Object.entries(later[step])) next[name] = changed(state[name], change);
      state = next;
    }
    if (due) return;
    due = true; // a slider on the move paints once a frame
    requestAnimationFrame(show);
  };
  const mark = (text) => (text.startsWith("broken") ? "broken" : text === "kept" ? "kept" : "idle");
  const show = () => {
    due = false;
    for (const place of document.querySelectorAll("[data-words]")) {
      const text = state[`words/${place.dataset.words}`];
      if (place.textContent !== text) place.textContent = text;
      if (place.dataset.words.startsWith("rule/")) place.className = mark(text);
    }
    find("verdict").className = state["words/verdict"].startsWith("Broken") ? "broken" : "";
    for (const pane of panes) {
      const name = pane.dataset.pane;
      pane.setAttribute("aria-label", state[`words/${name}`]);
      if (drawings[name]) feed(name);
    }
    shown = state;
    find("slider").value = step;
    find("slider").setAttribute("aria-valuetext", `step ${step} of ${last}`);
    find("where").value = `${step} of ${last}`;
    find("first").disabled = find("back").disabled = step === 0;
    find("last").disabled = find("step").disabled = step === last;
    // Tests wait for this number; it is set once the browser has had a chance to paint.
    requestAnimationFrame(() => (document.body.dataset.step = step));
  };
  const feed = (name) => {
    const sources = {};
    for (const [path, values] of Object.entries(state)) {
      const [kind, pane, source, column] = path.split("/");
      if (kind !== "data" || pane !== name) continue;
      const found = (sources[source] ??= { columns: {}, old: true });
      found.columns[column] = values;
      found.old &&= shown[path] === values;
    }
    for (const [source, { columns, old }] of Object.entries(sources)) {
      if (!old) drawings[name].get_model_by_name(source).data = columns;
    }
  };

  find("first").onclick = () => go(0);
  find("back").onclick = () => go(step - 1);
  find("step").onclick = () => go(step + 1);
  find("last").onclick = () => go(last);
  find("slider").oninput = (event) => go(Number(event.target.value));
  find("copy").onclick = async () => {
    try {
      await navigator.clipboard.writeText(find("token").textContent);
      find("copied").value = "copied";
    } catch {
      // Some browsers lend no clipboard to a file: then the reader's own keys have it.
      getSelection().selectAllChildren(find("token"));
      find("copied").value = "selected: press Ctrl+C";
    }
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.target.closest("input, pre, .wide")) return; // there these keys have a meaning of their own
    const to = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });

  for (const pane of panes) {
    const name = pane.dataset.pane;
    try {
      const views = await Bokeh.embed.embed_item(items[name], pane);
      drawings[name] = [...(views.roots ?? Object.values(views))][0].model.document;
    } catch (error) {
      pane.textContent = `The picture cannot be shown: ${error.message} The words below say the same.`;
    }
  }
  // page.html#7 opens at step 7
  const linked = () => go(Number.parseInt(location.hash.slice(1), 10) || 0);
  addEventListener("hashchange", linked);
  linked();
})();
