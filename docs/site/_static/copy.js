// A button on each block of code that copies it. Nothing is asked of anybody.
addEventListener("DOMContentLoaded", () => {
  for (const block of document.querySelectorAll("div.highlight")) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "copy", textContent: "copy" });
    button.onclick = async () => {
      const text = block.querySelector("pre").innerText.replace(/^\$ /gm, "");
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(block.querySelector("pre")); // no clipboard here: the reader's own keys have it
        button.textContent = "selected";
      }
      setTimeout(() => (button.textContent = "copy"), 1500);
    };
    block.append(button);
  }
});
