"use strict";
// Code that is wider than the window scrolls by keyboard, too; films wait for who wants no motion; and what the theme
// leaves without a name or a level gets one.
addEventListener("DOMContentLoaded", () => {
  const all = (what, change) => document.querySelectorAll(what).forEach(change);
  all("pre", code => { if (code.scrollWidth > code.clientWidth) code.tabIndex = 0; });
  all("[role=heading]:not([aria-level])", heading => heading.setAttribute("aria-level", 2));
  all(".sidebar-drawer", part => part.setAttribute("aria-label", "All pages"));
  all(".toc-drawer", part => part.setAttribute("aria-label", "This page"));
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    all("video[autoplay]", film => { film.autoplay = false; film.pause(); });
  }
});
