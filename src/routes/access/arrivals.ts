/** Which attributes good clients send: counted after the answer, by name alone, as requests are. */
import type { Context } from 'hono';
import { attributesIn, type NamedAttribute } from '../../scim/arrived';
import { isObject } from '../../scim/resource';
import type { Types } from '../../scim/schema/types';
import { type Arrivals, AttributeCounter, dayOf } from '../../store/operations/attributes';
import { type App, inBackground } from '../context';

/** Of this isolate. */
export const arrivals = new AttributeCounter();

/** Operations of a bulk request that are looked into. */
const MAX_OPERATIONS = 1_000;

/** @param types of the org: what they do not have was ignored. */
export function noteArrivals(c: Context<App>, orgId: string, types: Types): void {
  const sent = c.get('sent');
  if (arrivals.isOff || sent === undefined) return;
  const path = c.req.path.replace(/^.*?\/scim\/v2/, '');
  const now = Date.now();
  const found: Arrivals[] = [];
  const note = (path: unknown, body: unknown) => {
    const [, resource] = /^\/(Users|Groups)(?:\/(?!\.search$)[^/]+)?\/?$/i.exec(String(path)) ?? [];
    if (resource === undefined) return;
    const type = resource.toLowerCase() === 'users' ? types.user : types.group;
    const resourceType = type.name as 'User' | 'Group';
    const all: NamedAttribute[] = attributesIn(type, body);
    found.push(...all.map((one) => ({ orgId, day: dayOf(now), resourceType, ...one, count: 1, lastAt: now })));
  };
  if (!/^\/bulk$/i.test(path)) note(path, sent);
  else if (isObject(sent) && Array.isArray(sent['Operations'])) {
    for (const operation of sent['Operations'].slice(0, MAX_OPERATIONS)) {
      if (isObject(operation)) note(operation['path'], operation['data']);
    }
  }
  if (found.length > 0) inBackground(c, arrivals.add(c.env, ...found));
}
