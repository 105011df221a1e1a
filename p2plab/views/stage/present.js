// Present mode: one picture fills the window in big type. stage.js, which follows in one module, asks it how large to draw.

const DRAWN = 850; // pixels that a presented picture is drawn for; enlarged, its 11 px are 24 on a screen of 1920 by 1080
const SMALLEST = 700; // a narrower window is a phone: nothing is enlarged there

/**
 * Present mode of the stage in `root`. `begins` and `ends` are called around it, `draw` draws anew.
 * `on`: "" while nothing is presented, else which picture is: "chain" or "time".
 */
function presentMode(root, { begins, ends, draw }) {
  let on = "";
  let from = null; // what had the focus
  const home = () => root.parentElement;

  /** Into the top layer: no box around the stage can clip it there, or be above it. */
  function lift() {
    if (!root.showPopover) return;
    root.popover = "manual";
    root.showPopover();
  }
  function enter(picture = "chain") {
    if (on) return show(picture);
    from = root.contains(document.activeElement) ? document.activeElement : null;
    begins();
    on = picture;
    home().style.minHeight = `${root.offsetHeight}px`; // what lies around the stage stays where it is
    root.classList.add("present");
    root.setAttribute("tabindex", -1);
    lift();
    root.focus({ preventScroll: true });
    draw();
  }
  function leave() {
    if (!on) return;
    if (document.fullscreenElement === root) document.exitFullscreen();
    on = "";
    root.popover = null;
    root.classList.remove("present");
    root.removeAttribute("tabindex");
    home().style.minHeight = "";
    ends();
    draw();
    if (from?.isConnected) from.focus({ preventScroll: true });
  }
  function show(picture) {
    on = picture;
    draw();
  }
  /** The whole screen, which only a person's own key may ask for; Escape leaves it and present mode at once. */
  async function fill() {
    if (document.fullscreenElement === root) return document.exitFullscreen();
    root.popover = null; // a popover may not fill the screen, and one that is closed is not seen
    try {
      await root.requestFullscreen();
    } catch {
      if (on) lift(); // the browser does not lend its screen here: the window stays filled
    }
    root.focus({ preventScroll: true });
  }
  root.addEventListener("fullscreenchange", () => document.fullscreenElement !== root && leave());
  // What lies behind cannot be seen: the focus stays with what is presented.
  root.addEventListener("focusout", (event) => on && event.relatedTarget && !root.contains(event.relatedTarget) && root.focus());
  const keys = { p: leave, Escape: leave, f: fill, ArrowDown: () => show("time"), ArrowUp: () => show("chain") };

  return {
    get on() {
      return on;
    },
    enter,
    leave,
    /** How many times larger than drawn the picture is shown. */
    get scale() {
      return on && root.clientWidth > SMALLEST ? (root.clientWidth - 2 * Math.round(root.clientWidth / 80)) / DRAWN : 1;
    },
    /** A key that has a meaning here alone; says whether it had. */
    key(event) {
      const known = on && keys[event.key];
      if (known) known();
      return Boolean(known);
    },
    /** The rows of the chain in `room` pixels: what is not needed goes between and into them. */
    grow(g, room, needed) {
      const spare = Math.max(0, Math.min(room - needed, 220));
      Object.assign(g, { z1: g.z1 + spare * 0.3, z2: g.z2 + spare * 0.2, u: g.u + spare * 0.16, s: g.s + spare * 0.14, f: g.f + spare * 0.2, line: g.line + spare * 0.02 });
    },
  };
}
