// Folds: a link opens the fold that it leads into, paper shows all, one switch shows a page's code.
(function () {
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    let opened = false;
    const inside = target.querySelector(":scope > details.supplement"); // its own heading is linked
    for (let fold = inside || target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      opened = opened || !fold.open;
      fold.open = true;
    }
    if (opened) target.scrollIntoView();
  }

  function printAll() {
    const closed = [...document.querySelectorAll("details.folded:not([open])")];
    for (const fold of closed) fold.open = true;
    addEventListener("afterprint", () => closed.forEach((fold) => { fold.open = false; }), { once: true });
  }

  function addSwitch() {
    const cells = [...document.querySelectorAll(".cell > details.hide")];
    const title = document.querySelector("article h1") || document.querySelector("h1");
    if (!cells.length || !title) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "code-switch";
    function show(on) {
      document.documentElement.classList.toggle("without-code", !on);
      button.textContent = on ? "Hide the code" : "Show the code";
      button.setAttribute("aria-pressed", String(on));
      for (const cell of cells) cell.open = on;
    }
    button.addEventListener("click", () => show(button.getAttribute("aria-pressed") !== "true"));
    title.after(button);
    show(false);
  }

  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", printAll);
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) reveal(); // no change, and so no event
  });
  document.addEventListener("DOMContentLoaded", () => {
    addSwitch();
    reveal();
  });
})();
