/**
 * once gathers many wishes for a redraw into one. A timer and not an animation
 * frame, because a hidden frame has none and must still count its unread.
 */
export function once(draw: () => void): () => void {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    setTimeout(() => {
      due = false;
      draw();
    }, 0);
  };
}
