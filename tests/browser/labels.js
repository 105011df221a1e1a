// Every step of one saved run: labels that overlap, are cut, or are too small, and a stage that does not fit its window.
async (data, every) => {
  document.querySelector("#stage")?.remove();
  const root = document.body.appendChild(document.createElement("div"));
  root.id = "stage";
  const page = savedPage(root, data, { saved: false, scenes: [data.scene.name], check: true, drawer: true });
  const wrong = [];
  // What was measured already: a label stays where it is for many steps, and so do those around it.
  const seen = new Set();
  const spot = (text) => `${text.textContent}|${text.style.transform}|${text.getAttribute("x")},${text.getAttribute("y")}|${text.parentNode.style.transform}`;
  const size = new Map(); // class -> font size: computed once, since nothing else changes it
  const glyphs = (text) => {
    // The box of the glyphs themselves: from the top of a capital to the foot of a descender.
    const box = text.getBoundingClientRect();
    const key = `${text.parentNode.getAttribute("class")} ${text.getAttribute("class")} ${root.className}`;
    if (!size.has(key)) size.set(key, parseFloat(getComputedStyle(text).fontSize));
    const font = size.get(key);
    const middle = (box.top + box.bottom) / 2;
    return { left: box.left, right: box.right, top: middle - font * 0.42, bottom: middle + font * 0.42, font };
  };
  for (let step = 0; step <= data.run.end; step += every) {
    page.go(step);
    const say = (what) => wrong.push(`step ${step}: ${what}`);
    if (!root.classList.contains("phone") && root.querySelector(".main").scrollHeight + root.querySelector(".bar").offsetHeight > innerHeight + 1) say("is higher than the window");
    if (root.scrollWidth > root.clientWidth + 1) say("is wider than the window");
    const said = root.querySelector(".said");
    if (said.firstChild.nextSibling.scrollHeight > said.clientHeight + 4) say(`the sentence has no room: ${said.textContent}`);
    for (const svg of root.querySelectorAll(".main > svg.chain, .lanes > svg")) {
      const texts = [...svg.querySelectorAll("text")].filter((text) => text.textContent);
      const picture = root.className + texts.map(spot).join();
      if (seen.has(picture)) continue;
      seen.add(picture);
      const edge = svg.getBoundingClientRect();
      const boxes = texts.map(glyphs);
      boxes.forEach((box, n) => {
        if (box.font < 11) say(`${box.font} px: ${texts[n].textContent}`);
        if (box.left < edge.left - 1 || box.right > edge.right + 1) say(`cut: ${texts[n].textContent}`);
      });
      const order = boxes.map((_, n) => n).sort((a, b) => boxes[a].left - boxes[b].left);
      for (let i = 0; i < order.length; i++) {
        const a = boxes[order[i]];
        for (let j = i + 1; j < order.length && boxes[order[j]].left < a.right - 1; j++) {
          const b = boxes[order[j]];
          if (a.top < b.bottom - 0.5 && b.top < a.bottom - 0.5) say(`overlap: ${texts[order[i]].textContent} / ${texts[order[j]].textContent}`);
        }
      }
      const faces = [...svg.querySelectorAll(".face")].map((face) => face.getBoundingClientRect());
      texts.forEach((text, n) => {
        const b = boxes[n];
        const over = text.matches(".name, .sub") && faces.some((f) => f.left < b.right - 1 && b.left < f.right - 1 && f.top < b.bottom && b.top < f.bottom);
        if (over) say(`over a cell: ${text.textContent}`);
      });
      for (const cell of svg.querySelectorAll(".cell")) if (![...cell.querySelectorAll("text")][0]?.textContent) say(`no name: ${cell.dataset.k}`);
    }
    for (const row of root.querySelectorAll(".now li, .bar button, .bar select, footer button")) {
      const box = row.getBoundingClientRect();
      if (box.width && (box.right > innerWidth + 1 || box.left < -1)) say(`outside: ${row.textContent}`);
    }
  }
  return wrong;
}
