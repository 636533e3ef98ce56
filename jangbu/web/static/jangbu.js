// Makes pages smoother; nothing needs it. It computes no figure.
"use strict";

// A file may be dropped on its field.
for (const field of document.querySelectorAll(".field.drop")) {
  const input = field.querySelector("input[type=file]");
  field.addEventListener("dragover", (event) => { event.preventDefault(); field.classList.add("over"); });
  field.addEventListener("dragleave", () => field.classList.remove("over"));
  field.addEventListener("drop", (event) => {
    event.preventDefault();
    field.classList.remove("over");
    input.files = event.dataTransfer.files;
  });
}

// A form that was sent is not sent twice, and says that it works; one with a file shows progress.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  form.setAttribute("aria-busy", "true");
  for (const said of form.querySelectorAll(".sending")) said.hidden = false;
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
    for (const said of form.querySelectorAll(".sending")) said.hidden = true;
  }
});

// Choosing in a filter shows it at once.
for (const form of document.querySelectorAll("form[data-at-once]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

// One box ticks all boxes of its table but those that are ticked one by one only; it unticks all.
for (const all of document.querySelectorAll("input[data-ticks]")) {
  all.addEventListener("change", () => {
    for (const box of document.querySelectorAll(`input[name="${all.dataset.ticks}"]`)) {
      box.checked = all.checked && !("alone" in box.dataset);
    }
  });
}
