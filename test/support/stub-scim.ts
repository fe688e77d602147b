// A small SCIM server for users, in memory and without a network: as much as Okta sends. It can be wrong in several ways,
// so that a test can see that a simulation notices.

export interface Fault {
  /** Answers 200 to a deactivation and keeps the user active. */
  readonly ignoresActive?: boolean;
  /** As `ignoresActive`, and the answer says that it was done. */
  readonly liesAboutActive?: boolean;
  /** Lists everybody, whatever the filter. */
  readonly ignoresFilter?: boolean;
  /** Numbers of a list as texts. */
  readonly quotesNumbers?: boolean;
  readonly answersHtml?: boolean;
  /** 201 without a body. */
  readonly createsSilently?: boolean;
  /** So many requests get 429 first. */
  readonly putsOff?: number;
  /** Changes another user along with the one that is meant. */
  readonly touchesOthers?: boolean;
}

type User = Record<string, unknown> & { id: string; active: boolean };

export interface StubScim {
  readonly fetch: typeof fetch;
  readonly users: Map<string, User>;
  /** Method, path and body of each request. */
  readonly requests: { readonly method: string; readonly path: string; readonly body: unknown }[];
}

const TYPE = { 'Content-Type': 'application/scim+json' };

export function stubScim(fault: Fault = {}): StubScim {
  const users = new Map<string, User>();
  const requests: StubScim['requests'] = [];
  let left = fault.putsOff ?? 0;

  const answer = (status: number, body?: object) =>
    new Response(body && JSON.stringify(body), {
      status,
      headers: fault.answersHtml ? { 'Content-Type': 'text/html' } : TYPE,
    });
  const failure = (status: number) => answer(status, { status: String(status), detail: 'no' });
  const list = (found: User[]) => {
    const number = (value: number) => (fault.quotesNumbers ? String(value) : value);
    const [totalResults, startIndex, itemsPerPage] = [found.length, 1, found.length].map(number);
    const schemas = ['urn:ietf:params:scim:api:messages:2.0:ListResponse'];
    return answer(200, { schemas, totalResults, startIndex, itemsPerPage, Resources: found });
  };
  const find = (filter: string | null) => {
    const name = /eq "(.*)"/.exec(filter ?? '')?.[1]?.toLowerCase();
    const all = [...users.values()];
    return filter === null || fault.ignoresFilter
      ? all
      : all.filter((one) => String(one['userName']).toLowerCase() === name);
  };

  function create(body: Record<string, unknown>) {
    const { password: _, ...rest } = body;
    const user = { active: true, ...rest, id: `id-${users.size + 1}` } as User;
    users.set(user.id, user);
    return fault.createsSilently ? answer(201) : answer(201, user);
  }

  function change(user: User, attributes: Record<string, unknown>) {
    const wasActive = user.active;
    Object.assign(user, attributes, { id: user.id });
    const shown = { ...user };
    if (fault.ignoresActive || fault.liesAboutActive) user.active = wasActive;
    if (fault.touchesOthers) for (const other of users.values()) other.active = user.active;
    return answer(200, fault.liesAboutActive ? shown : user);
  }

  return {
    users,
    requests,
    async fetch(input, init) {
      const url = new URL(String(input));
      const { method = 'GET' } = init ?? {};
      const body = init?.body ? (JSON.parse(String(init.body)) as Record<string, unknown>) : undefined;
      requests.push({ method, path: url.pathname + url.search, body });
      if (left-- > 0) return new Response(null, { status: 429, headers: { 'Retry-After': '0' } });
      const [, endpoint, id] = /\/(Users|Groups)(?:\/(.*))?$/.exec(url.pathname) ?? [];
      if (endpoint !== 'Users') return list([]);
      if (id === undefined) return method === 'POST' ? create(body!) : list(find(url.searchParams.get('filter')));
      const user = users.get(id);
      if (!user) return failure(404);
      if (method === 'PUT') return change(user, body!);
      if (method === 'PATCH')
        return change(user, (body as { Operations: [{ value: Record<string, unknown> }] }).Operations[0].value);
      return answer(200, user);
    },
  };
}
