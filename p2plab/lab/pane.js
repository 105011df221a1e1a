// The browser's half of BokehPane: load BokehJS once per page, embed the figure, then only replace its columns.

const WAIT = 20000;
const FRAME = 50; // milliseconds: after so long without an update the next one is drawn at once, else in the next frame

function needBokeh(model) {
  const version = model.get("version");
  if (window.Bokeh?.version === version) return Promise.resolve(window.Bokeh);
  const pending = (window.__p2plabBokeh ??= {});
  // A failed load is forgotten, so that the next view (a kernel that came back) can try again.
  return (pending[version] ??= load(model).catch((error) => {
    delete pending[version];
    throw error;
  }));
}

function load(model) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error("the drawing library did not arrive in 20 s. Is the kernel running?")),
      WAIT,
    );
    const receive = (message, buffers) => {
      if (message.kind !== "bokehjs") return;
      model.off("msg:custom", receive);
      const script = document.createElement("script");
      script.src = URL.createObjectURL(new Blob([buffers[0]], { type: "text/javascript" }));
      script.onload = () => {
        clearTimeout(timer);
        resolve(window.Bokeh);
      };
      script.onerror = () => reject(new Error("the drawing library could not be loaded"));
      document.head.append(script);
    };
    model.on("msg:custom", receive);
    model.send({ kind: "need-bokehjs" });
  });
}

/** Whether the page is dark: by the notebook's theme, or where there is none by the system's. */
const isDark = () => {
  const light = document.body.dataset.jpThemeLight;
  return light === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : light === "false";
};

// JupyterLab keeps its single-key shortcuts while a widget has the focus: 'm' would turn the cell into Markdown and
// 'd d' delete it. Keys typed inside the lab stay inside; Escape gives the focus back to the cell.
function keepKeys(event) {
  if (event.key === "Escape") {
    const cell = event.target.closest(".jp-Cell");
    event.target.blur();
    cell?.focus();
  } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.stopPropagation();
  }
}

// ipywidgets gives the handle of a slider no name that a screen reader could say: its label's words become one.
function nameSliders(box) {
  const name = () => {
    for (const slider of box.querySelectorAll(".widget-slider")) {
      const words = slider.querySelector("label, .widget-label")?.textContent ?? "";
      slider.querySelector("[role='slider']:not([aria-label])")?.setAttribute("aria-label", words);
    }
  };
  name();
  new MutationObserver(name).observe(box, { childList: true, subtree: true });
}

// What the model leaves out, one click away from every picture.
function leavesOut(items) {
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = "what this model leaves out";
  const list = document.createElement("ul");
  for (const [name, what] of items) {
    const item = document.createElement("li");
    item.textContent = `${name}: ${what}`;
    list.append(item);
  }
  details.append(summary, list);
  return details;
}

function render({ model, el }) {
  const host = document.createElement("div");
  const words = document.createElement("p");
  host.className = "p2plab-picture";
  host.setAttribute("role", "img");
  host.dataset.pane = model.get("name");
  words.className = "p2plab-words";
  words.setAttribute("role", "status");
  const below = document.createElement("div");
  below.className = "p2plab-below";
  below.append(saveButton("PNG"), saveButton("SVG"), leavesOut(model.get("leaves_out")));
  el.append(host, words, below);

  const say = () => {
    words.textContent = model.get("alt");
    host.setAttribute("aria-label", model.get("alt"));
  };
  say(); // the words show even where the picture cannot
  model.on("change:alt", say);
  const box = () => el.closest(".p2plab-lab") ?? el;
  let guarded = null;
  setTimeout(() => {
    guarded = box();
    if (guarded.dataset.p2plabKeys) return;
    guarded.dataset.p2plabKeys = "kept";
    guarded.addEventListener("keydown", keepKeys);
    nameSliders(guarded);
  });

  // A click in the picture comes here from BokehJS (pane.py, TAP) and goes to Python; the views of other labs ignore it.
  const tapped = (event) => {
    if (event.detail.key === model.get("key")) model.send({ kind: "tap", x: event.detail.x, y: event.detail.y });
  };
  window.addEventListener("p2plab-tap", tapped);

  function saveButton(kind) {
    const button = document.createElement("button");
    button.textContent = kind;
    button.title = `save this picture as ${kind}`;
    button.setAttribute("aria-label", `save ${model.get("name")} as ${kind}`);
    button.addEventListener("click", async () => {
      const blob = await view.export(kind.toLowerCase(), false).to_blob();
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `p2plab-${model.get("name")}.${kind.toLowerCase()}`;
      link.click();
      URL.revokeObjectURL(link.href);
    });
    return button;
  }

  // In the dark the figure's colours are others (views/styles.py): those of the figure, and those in its columns.
  let inDark = isDark();
  const painted = (colour) => (inDark && model.get("dark")[colour]) || colour;
  const paintedItem = () => model.get("item").replace(/#[0-9a-f]{6}(?=")/g, painted);
  const paintedColumn = (values) => (typeof values[0] === "string" && values[0][0] === "#" ? values.map(painted) : values);
  const theme = new MutationObserver(() => {
    if (inDark === isDark()) return;
    inDark = isDark();
    draw();
  });
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });

  let view = null;
  let bokehDocument = null;
  let drawn = {};
  let due = false;
  let fed = -FRAME; // when columns were last given to BokehJS
  let gone = false;

  const put = () => {
    due = false;
    fed = performance.now();
    if (gone || bokehDocument === null) return;
    // Each column is a trait of its own, "source.column"; a source is drawn again if one of its columns is another.
    const sources = {};
    for (const path of model.get("columns")) {
      const [name, column] = path.split(".");
      const source = (sources[name] ??= { data: {}, changed: false });
      source.data[column] = paintedColumn(model.get(path));
      source.changed ||= drawn[path] !== model.get(path);
      drawn[path] = model.get(path);
    }
    for (const [name, source] of Object.entries(sources)) {
      if (source.changed) bokehDocument.get_model_by_name(name).data = source.data;
    }
    // Tests wait for this number; it is set once the browser has had a chance to paint.
    requestAnimationFrame(() => (host.dataset.seq = model.get("seq")));
  };
  const soon = () => {
    if (due) return;
    due = true;
    // The first update goes at once, and BokehJS paints it in the next frame; the rest of a burst paints once a frame.
    if (performance.now() - fed > FRAME) put();
    else requestAnimationFrame(put);
  };
  const drawNow = async () => {
    try {
      const Bokeh = await needBokeh(model);
      if (gone) return;
      bokehDocument?.clear();
      bokehDocument = null; // columns that come before the new figure stands wait for it
      host.replaceChildren();
      const views = await Bokeh.embed.embed_item(JSON.parse(paintedItem()), host);
      view = [...(views.roots ?? Object.values(views))][0];
      bokehDocument = view.model.document;
      drawn = {};
      put();
    } catch (error) {
      host.setAttribute("role", "alert");
      host.textContent = `The picture cannot be shown: ${error.message} The words below say the same.`;
    }
  };
  // One figure after the other: two that are being made at once would both end up in the page.
  let drawing = Promise.resolve();
  const draw = () => (drawing = drawing.then(drawNow));
  draw();
  model.on("change:item", draw);
  model.on("change:seq", soon);
  return () => {
    gone = true;
    theme.disconnect();
    model.off("change:item", draw);
    model.off("change:seq", soon);
    model.off("change:alt", say);
    window.removeEventListener("p2plab-tap", tapped);
    bokehDocument?.clear();
  };
}

export default { render };
