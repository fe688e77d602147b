/** Ids that come from elsewhere: of imported people, and of the lines of an org's file. */

/** Characters of an id that an import may choose. */
const MAX_ID_LENGTH = 64;

/** An id stands in URLs and in keys of KV. One that begins with a dot means something else there. */
export const isId = (id: string, longest = MAX_ID_LENGTH): boolean =>
  id.length <= longest && /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(id);
