/**
 * The one script of the portal. Pages work without it. It copies values, keeps a form from being sent twice, and tells the page around
 * a frame what has happened.
 *
 * It asks a visible page for itself again every three seconds, and every thirty after ten minutes in which nobody touched it. Where a page has a version, it asks for no more than what is newer, and every minute for all of it.
 */
export const SCRIPT = `(() => {
const body = document.body, data = body.dataset, all = (what) => document.querySelectorAll(what);
const tell = (event) => {
  if (parent === window) return;
  const origins = (data.origins || '').split(' ').filter(Boolean);
  const around = location.ancestorOrigins && location.ancestorOrigins[0];
  for (const origin of around ? origins.filter((one) => one === around) : origins) parent.postMessage({ source: 'scim-portal', event }, origin);
};
tell('loaded');
for (const event of (data.events || '').split(' ').filter(Boolean)) tell(event);
const arm = (root) => root.querySelectorAll('[data-copy]').forEach((button) => {
  button.hidden = false;
  button.onclick = async () => {
    const from = document.getElementById(button.dataset.copy);
    try { await navigator.clipboard.writeText(from.textContent); button.textContent = data.copied; }
    catch { getSelection().selectAllChildren(from); }
  };
});
arm(document);
document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = '1';
  form.querySelectorAll('button').forEach((button) => button.setAttribute('aria-disabled', 'true'));
});
addEventListener('pagehide', () => all('[data-secret]').forEach((it) => it.remove()));
addEventListener('pageshow', (event) => { if (event.persisted) all('form').forEach((form) => delete form.dataset.sent); });
let isOver = false;
const over = () => { if (isOver) return; isOver = true; tell('session_ended'); location.replace('/portal'); };
const left = Number(data.left);
if (left) {
  setTimeout(() => { const it = document.getElementById('ending'); if (it) it.hidden = false; tell('session_ending'); }, Math.max(0, left - 300000));
  setTimeout(over, Math.max(1000, left));
}
if (data.ended) tell('session_ended');
let looks = 0, awakeAt = Date.now(), wholeAt = Date.now(), isLooking = false;
const awake = () => { awakeAt = Date.now(); };
for (const type of ['pointerdown', 'keydown', 'visibilitychange']) document.addEventListener(type, awake, { passive: true });
if (document.querySelector('[data-live]')) setInterval(async () => {
  if (document.hidden || isOver || isLooking) return;
  if (Date.now() - awakeAt > 600000 && ++looks % 10) return;
  isLooking = true;
  try {
    const headers = { 'X-Portal-Live': '1' };
    if (data.version && Date.now() - wholeAt < 60000) headers['X-Portal-Version'] = data.version;
    else wholeAt = Date.now();
    const answer = await fetch(location.href, { headers, cache: 'no-store' });
    if (answer.status === 401) return over();
    if (!answer.ok || answer.status === 204) return;
    const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
    let isWhole = true;
    next.querySelectorAll('[data-live]').forEach((there) => {
      const here = document.getElementById(there.id);
      if (!here || here.innerHTML === there.innerHTML) return;
      if (here.contains(document.activeElement)) return void (isWhole = false);
      here.innerHTML = there.innerHTML;
      arm(here);
    });
    if (isWhole && next.body.dataset.version) data.version = next.body.dataset.version;
    for (const event of (next.body.dataset.events || '').split(' ').filter(Boolean)) if (!(data.events || '').includes(event)) { data.events += ' ' + event; tell(event); }
  } catch {} finally { isLooking = false; }
}, 3000);
})();`;
