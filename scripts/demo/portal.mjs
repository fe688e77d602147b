/** The portal as a customer's administrator has it open: a link, a session, and how far the steps of the set-up are. */

/** @returns `states(…names)`: of each step whether it works, waits or has failed. */
export async function openPortal({ callAdmin }, service, slug) {
  const { url } = await callAdmin(`/orgs/${slug}/portal-links`, {
    method: 'POST',
    body: { contact: 'it@acme.example' },
  });
  const link = new URL(url).pathname;
  const opened = await fetch(service + link, { method: 'POST', headers: { origin: service }, redirect: 'manual' });
  const cookie = opened.headers.get('set-cookie')?.split(';')[0] ?? '';
  return {
    async states(...names) {
      const page = await fetch(`${service}/portal/orgs/${slug}/set-up/test`, { headers: { cookie } });
      const found = (await page.text()).matchAll(/<li class="(\w+)"><a href="[^"]*\/set-up\/(\w+)"/g);
      const states = new Map([...found].map(([, state, name]) => [name, state]));
      return names.map((name) => states.get(name));
    },
  };
}
