/**
 * How deeply the SQL of a filter nests. The parser bounds how deeply a filter does, but not what its terms become: a term
 * about the groups of users is a deeper question than one about their names.
 */
import { sql } from 'drizzle-orm';
import type { Condition } from '../../scim/filter/condition';
import { isPlural } from '../../scim/filter/match';
import { type Columns, pathKey } from './columns';
import { narrowing } from './narrow';

/**
 * SQLite on D1 takes expressions nested to 100; what else stands around the condition has room above this. The most stands
 * around it in a page by cursor across all types, which counts the rows of the type before.
 */
const MAX_HEIGHT = 65;
const MAX_OWN_HEIGHT = 55;

/** Whether SQLite would refuse what the filter becomes. */
export function isTooDeep(condition: Condition, columns: Columns): boolean {
  const { own, inside } = heightOf(condition, columns);
  return own > MAX_OWN_HEIGHT || own + inside > MAX_HEIGHT;
}

/**
 * What SQLite counts when it resolves an expression: its height, which includes that of its subqueries, and then once
 * more the height of each subquery on the way in.
 */
interface Height {
  readonly own: number;
  readonly inside: number;
}

const deeper = ({ own, inside }: Height, levels: number): Height => ({ own: own + levels, inside });

/** @param columns of the row; undefined inside of an element. */
function heightOf(condition: Condition, columns?: Columns): Height {
  switch (condition.kind) {
    case 'and':
    case 'or': {
      const terms = condition.terms.map((term) => heightOf(term, columns));
      const [own, inside] = [Math.max(...terms.map((t) => t.own)), Math.max(...terms.map((t) => t.inside))];
      return { own: own + Math.ceil(Math.log2(terms.length)), inside };
    }
    case 'not':
      return deeper(heightOf(condition.term, columns), 2);
    case 'element': {
      const filter = heightOf(condition.filter);
      if (columns?.derived(condition.path[0].name)) return within(filter);
      if (!isPlural(condition.path)) return deeper(filter, 3);
      // The look-up beside it.
      const beside = columns ? narrowed(filter) : { own: 0, inside: 0 };
      return {
        own: Math.max(filter.own + 2, beside.own) + 1,
        inside: Math.max(filter.own + 2 + filter.inside, beside.inside),
      };
    }
    case 'nothing':
      return { own: 1, inside: 0 };
    default: {
      const key = pathKey(condition.path);
      const isLookup = condition.kind === 'compare' && columns?.lookup(key, sql`1`) !== undefined;
      if (isLookup || (columns && narrowing(condition, columns))) return LOOKUP;
      if (columns?.derived(condition.path[0].name)) return within({ own: 6, inside: 0 });
      if (columns?.column(key)) return COLUMN;
      return isPlural(condition.path) ? { own: 8, inside: 7 } : { own: 6, inside: 0 };
    }
  }
}

/** Look-ups ask other tables, in the caller's org: the largest is that for the members of a group. */
const LOOKUP: Height = { own: 14, inside: 22 };
/** A look-up with a filter of the values in it. */
const narrowed = ({ own, inside }: Height): Height => ({
  own: Math.max(LOOKUP.own, own + 4),
  inside: Math.max(LOOKUP.inside, own + 4 + inside),
});
/** A test of the elements of a list that stands in no document: it stands inside such a question. */
const within = ({ own, inside }: Height): Height => ({
  own: own + 4,
  inside: own + inside,
});
/** A column may be a question to another row: the manager's name. */
const COLUMN: Height = { own: 10, inside: 10 };
