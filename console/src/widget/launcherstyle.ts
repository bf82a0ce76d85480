/** The launcher lives in a shadow root on a foreign page, so its few rules travel with the script. */
export const launcherStyle = `
:host { all: initial; }
.box { position: fixed; bottom: 20px; z-index: 2147483000; font-family: system-ui, sans-serif; }
.box.right { right: 20px; }
.box.left { left: 20px; }
.launcher {
  position: relative; display: grid; place-items: center; width: 60px; height: 60px; margin: 0; padding: 0;
  border: 0; border-radius: 50%; cursor: pointer; color: #fff; background: #0b6e69;
  box-shadow: 0 8px 24px rgb(8 47 46 / .28), 0 2px 6px rgb(8 47 46 / .2); transition: transform .15s ease, background .15s ease;
}
.launcher:hover { background: #095a56; transform: translateY(-1px); }
.launcher:focus-visible { outline: 3px solid #fff; outline-offset: -6px; }
.icon { width: 28px; height: 28px; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.down { display: none; }
.open .chat { display: none; }
.open .down { display: block; }
.badge {
  position: absolute; top: -3px; right: -3px; min-width: 20px; height: 20px; padding: 0 5px; box-sizing: border-box;
  border: 2px solid #fff; border-radius: 10px; background: #d9382c; color: #fff; font-size: 11px; font-weight: 700; line-height: 16px; text-align: center;
}
.badge[hidden], .panel[hidden] { display: none; }
.panel {
  position: absolute; bottom: 76px; width: 384px; height: min(640px, calc(100vh - 116px)); border-radius: 16px; overflow: hidden;
  background: #fff; box-shadow: 0 16px 48px rgb(8 30 35 / .24), 0 2px 8px rgb(8 30 35 / .12);
}
.right .panel { right: 0; }
.left .panel { left: 0; }
iframe { display: block; width: 100%; height: 100%; border: 0; color-scheme: normal; }
@media (prefers-color-scheme: dark) { .panel { background: #14181b; } }
@media (max-width: 520px) {
  .open .panel { position: fixed; inset: 0; width: 100%; height: 100%; border-radius: 0; }
  .box.open .launcher { display: none; }
}
@media (prefers-reduced-motion: reduce) { .launcher { transition: none; } }
`;
