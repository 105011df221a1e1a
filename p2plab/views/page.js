
// A saved page: the stage, what the address names, the token to copy. Follows stage.js in one module.
// An address ends in #7 (a step of the page's own run), #NAME@7 (a shipped story of a page that holds them), #z=…@7 (a run
// that travels in the link), #story=06/2 (a beat of a notebook's story, in a page that holds them) or #p2p1.… (a token, which needs Python). With &present after it, it opens in present mode.
{
const $ = (id) => document.getElementById(id);
const table = $("stories") ? JSON.parse($("stories").textContent) : { stories: {}, codes: {} };
const python = document.body.dataset.python ? behind(document.body.dataset.python) : null;
const MOST = 20_000_000; // characters that a link may unpack to
let saved = null;
let shown = null; // what is before the @ of the address
let asked = 0;

/** The JSON that gzip and base64url carry. */
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).pipeThrough(new TextDecoderStream()).getReader();
  let whole = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    whole += part.value;
    if (whole.length > MOST) throw new RangeError("too large");
  }
  return JSON.parse(whole);
}

/** A shipped story; what many stories share is kept once in the page. */
async function story(name) {
  table.read ??= unpack(table.parts);
  const [parts, data] = await Promise.all([table.read, unpack(table.stories[name][0])]);
  const filled = (places) => Object.fromEntries(Object.entries(places).map(([key, place]) => [key, parts[place]]));
  return { ...data, scene: { ...data.scene, rules: filled(data.scene.rules), drivers: filled(data.scene.drivers), terms: parts[data.scene.terms], actions: parts[data.scene.actions] } };
}

/** A run that came in a link: what differs from the shipped story of its scene. */
async function travelled(text) {
  let data = await unpack(text);
  if (data.of) {
    const there = table.stories[data.of];
    if (!there) throw new Error(`This page does not hold the scene ${data.of}: open the link's whole address, or ask for the file`);
    if (there[1] !== data.base) throw new Error(`The link was made by another version of the scene ${data.of} than this page's: ask for the file`);
    const base = await story(data.of);
    data = { ...data, scene: { ...base.scene, ...data.scene }, first: { ...base.first, ...data.first } };
  }
  return data;
}

function show(data, prefix, scenes, beat) {
  const root = document.createElement("div");
  saved?.stop();
  $("stage").replaceChildren(root);
  const address = () => history.replaceState(null, "", `#${prefix}${beat ? "" : saved.step}${saved.present.on ? "&present" : ""}`);
  const options = { moved: address, presented: () => queueMicrotask(address), beat };
  if (beat) options.send = (message) => message.beat && (location.hash = `#story=${beat.number}/${message.beat}${saved.present.on ? "&present" : ""}`);
  else if (scenes) Object.assign(options, { scenes, send: (message) => message.scene && (location.hash = `#${message.scene}`) });
  saved = savedPage(root, data, options);
  if (data.text === undefined) return;
  $("title").textContent = document.title = data.scene.title;
  $("about").textContent = data.scene.about;
  $("scene").textContent = data.said;
  $("text").textContent = data.text || "This link carries the moments of the run and not its text; the token gives it back: p2plab replay TOKEN";
  $("token").textContent = data.token;
  const element = (tag, words) => Object.assign(document.createElement(tag), { textContent: words });
  $("pictures").hidden = !data.pictures.length;
  $("pictures").querySelector("dl").replaceChildren(...data.pictures.flatMap(([title, words]) => [element("dt", title), element("dd", words)]));
}

function say(words) {
  $("said").textContent = words;
  $("said").hidden = !words;
}

async function linked() {
  const [, named, presents] = decodeURIComponent(location.hash.slice(1)).match(/^(.*?)(&present)?$/s);
  const [what, at = ""] = named.split(/@(?=\d+$)/);
  const mine = ++asked;
  const names = Object.keys(table.stories);
  const tale = what.match(/^story=(\d\d)(?:\/(\d+))?$/);
  if (tale) return beatOf(tale[1], Number(tale[2] ?? 1), presents, mine);
  const digits = /^\d*$/.test(what);
  const name = table.codes[what.toUpperCase()] ?? what.toLowerCase();
  const wanted = digits ? (shown ?? table.opens ?? "") : what.startsWith("z=") || what.startsWith("p2p1.") ? what : name;
  try {
    if (wanted !== shown || !saved) {
      let data;
      if (wanted === "" || wanted === document.body.dataset.own) data = JSON.parse($("run").textContent);
      else if (wanted.startsWith("z=")) data = await travelled(wanted.slice(2));
      else if (wanted.startsWith("p2p1.")) data = await replayed(wanted);
      else if (names.includes(wanted)) data = await story(wanted);
      else throw new Error(`This page holds no story ${what.slice(0, 60)}; ${names.length ? "choose one in its list" : "it holds one run only"}`);
      if (mine !== asked) return; // another address came meanwhile
      show(data, wanted ? `${wanted}@` : "", names.length ? names : null);
      shown = wanted;
    }
    say("");
    saved.go(Number.parseInt(digits ? what : at, 10) || 0);
    if (presents) saved.present.enter();
    else saved.present.leave();
  } catch (error) {
    if (mine !== asked) return;
    say(error instanceof Error && !(error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError || error instanceof DOMException) ? `${error.message}.` : "The link is damaged. Was it copied whole?");
    if (!saved) {
      history.replaceState(null, "", "#");
      const words = $("said").textContent;
      await linked();
      say(words);
    }
  }
}

/** A beat of one of the stories that the page holds: its run at its step, with its words above. */
async function beatOf(number, at, presents, mine) {
  const held = $("told") ? JSON.parse($("told").textContent) : {};
  const beats = held[number]?.beats ?? [];
  if (!beats[at - 1]) {
    say(`This page holds no story ${number} with a beat ${at}.`);
    if (!saved) location.hash = "#";
    return;
  }
  const { name, run, step, words, picture } = beats[at - 1];
  const data = run ? await travelled(run) : await story(name);
  if (mine !== asked) return;
  const was = saved?.present.on;
  show(data, `story=${number}/${at}`, null, { number, title: `${number} · ${held[number].title}`, at, of: beats.length, words, picture });
  shown = `story=${number}/${at}`;
  say("");
  saved.go(step);
  if (presents || was) saved.present.enter(picture);
}

/** A token's run: one of the page's own stories at once, any other by Python. */
async function replayed(token) {
  const known = Object.entries(table.stories).find(([, kept]) => kept[2] === token);
  if (known) return story(known[0]);
  if (!python) throw new Error("This page has no Python to replay a token with: p2plab replay TOKEN does it in a terminal, the site made by make lite in a browser");
  say("Python replays the token in this page; it takes some seconds to start …");
  return python(token);
}

/** Python behind the page: a worker that replays tokens. It starts once the first picture is there. */
function behind(script) {
  let worker = null;
  const waiting = [];
  const start = () => {
    if (worker) return;
    worker = new Worker(script, { type: "module" });
    worker.onmessage = ({ data }) => {
      if (data.ready) return void ($("python").textContent = "Python is ready behind this page: it opens any token.");
      const [done, failed] = waiting.shift();
      if (data.error) failed(new Error(data.error));
      else done(JSON.parse(data.run));
    };
    worker.onerror = () => {
      $("python").textContent = "Python did not start behind this page; the stories above need none.";
      for (const [, failed] of waiting.splice(0)) failed(new Error("Python did not start behind this page"));
    };
    $("python").textContent = "Python starts behind this page …";
  };
  if (!navigator.connection?.saveData) addEventListener("load", () => setTimeout(start, 500));
  return (token) =>
    new Promise((done, failed) => {
      start();
      waiting.push([done, failed]);
      worker.postMessage({ token });
    });
}

addEventListener("hashchange", linked);
linked();
// Keys work from wherever the reader is, but not where they have a meaning of their own.
document.addEventListener("keydown", (event) => event.target === document.body && saved?.key(event));
$("open").onsubmit = (event) => {
  event.preventDefault();
  const wanted = $("wanted").value.match(/p2p1\.\S+/)?.[0] ?? $("wanted").value.trim();
  if (wanted) location.hash = `#${wanted}`;
};
$("copy").onclick = async () => {
  const [token, copied] = [$("token"), $("copied")];
  try {
    await navigator.clipboard.writeText(token.textContent);
    copied.value = "copied";
  } catch {
    // Some browsers lend no clipboard to a file: then the reader's own keys have it.
    getSelection().selectAllChildren(token);
    copied.value = "selected: press Ctrl+C";
  }
};
}
