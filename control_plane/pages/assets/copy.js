// Buttons that copy what stands beside them; where there are no scripts they are not shown.
for (const button of document.querySelectorAll("button[data-copies]")) {
  const source = document.getElementById(button.dataset.copies);
  const told = button.nextElementSibling;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      told.textContent = told.dataset.done;
    } catch {
      // The browser forbids it here: what is marked can be copied by hand.
      getSelection().selectAllChildren(source);
      told.textContent = told.dataset.marked;
    }
  });
}
