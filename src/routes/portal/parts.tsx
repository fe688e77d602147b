/** What the portal's pages are made of: marks, times, values to copy, forms, tables. */
import type { Child, FC, PropsWithChildren } from 'hono/jsx';
import { DAY } from '../../duration';
import type { Visit } from './visit';

export type Mark = 'works' | 'failed' | 'waiting' | 'warn';

const PATHS: Readonly<Record<Mark, string>> = {
  works: 'M3 8.5l3.5 3.5L13 4.5',
  failed: 'M4 4l8 8M12 4l-8 8',
  warn: 'M8 2.5v7M8 12.5v1',
  waiting: 'M4 8h8',
};

export const Icon: FC<{ mark: Mark }> = ({ mark }) => (
  <svg
    viewBox="0 0 16 16"
    fill="none"
    stroke="currentColor"
    stroke-width="2.2"
    stroke-linecap="round"
    aria-hidden="true"
  >
    <path d={PATHS[mark]} />
  </svg>
);

export const Badge: FC<PropsWithChildren<{ mark: Mark }>> = ({ mark, children }) => (
  <span class={`badge ${mark}`}>{children}</span>
);

export const Note: FC<PropsWithChildren<{ mark: Mark; alert?: boolean; id?: string; hidden?: boolean }>> = ({
  mark,
  alert,
  children,
  ...rest
}) => (
  <div class={`note ${mark}`} role={alert ? 'alert' : undefined} {...rest}>
    <Icon mark={mark} />
    <div>{children}</div>
  </div>
);

export const Card: FC<PropsWithChildren<{ title?: Child; end?: Child; id?: string; live?: boolean }>> = ({
  title,
  end,
  id,
  live,
  children,
}) => (
  <section class="card" id={id} data-live={live ? '' : undefined}>
    {title && (
      <header>
        <h2>{title}</h2>
        {end && <span class="end">{end}</span>}
      </header>
    )}
    {children}
  </section>
);

/** Whatever an org, a person or a client is called, its letters change no other's direction. */
export const Name: FC<{ of: unknown }> = ({ of }) => <bdi>{String(of ?? '')}</bdi>;

const UNITS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['day', DAY],
  ['hour', 3_600_000],
  ['minute', 60_000],
];

/** How long ago, or in how long, in the largest whole unit. */
export function ago({ lang, texts }: Visit, at: number, now = Date.now()): string {
  const [unit, length] = UNITS.find(([, length]) => Math.abs(at - now) >= length) ?? [];
  if (unit === undefined) return at <= now ? texts.justNow : texts.soon;
  return new Intl.RelativeTimeFormat(lang, { numeric: 'auto' }).format(Math.trunc((at - now) / length!), unit);
}

/** The instant, as exactly as people say it. UTC, for nothing is known of where they are. */
export const exact = ({ lang }: Visit, at: number): string =>
  `${new Intl.DateTimeFormat(lang, { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' }).format(at)} UTC`;

/** Relative, with the exact one on hover. @param at undefined: never. */
export const Time: FC<{ visit: Visit; at: number | undefined }> = ({ visit, at }) =>
  at === undefined ? (
    <span>{visit.texts.never}</span>
  ) : (
    <time datetime={new Date(at).toISOString()} title={exact(visit, at)}>
      {ago(visit, at)}
    </time>
  );

/** A value to copy. Without script a click selects all of it. */
export const Copy: FC<{ visit: Visit; id: string; value: string; label: string; secret?: boolean }> = ({
  visit,
  id,
  value,
  label,
  secret,
}) => (
  <div class="stack tight">
    <strong class="small" id={`${id}-label`}>
      {label}
    </strong>
    <div class="copy">
      <code id={id} dir="ltr" data-secret={secret ? '' : undefined}>
        {value}
      </code>
      <button type="button" hidden data-copy={id} aria-describedby={`${id}-label`}>
        {visit.texts.copy}
      </button>
    </div>
  </div>
);

export const Form: FC<PropsWithChildren<{ visit: Visit; action: string; class?: string }>> = ({
  visit,
  children,
  ...rest
}) => (
  <form method="post" class="stack" {...rest}>
    <input type="hidden" name="csrf" value={visit.csrf} />
    {children}
  </form>
);

/** A form that is one button. */
export const Act: FC<
  PropsWithChildren<{ visit: Visit; action: string; kind?: string; fields?: Readonly<Record<string, string>> }>
> = ({ visit, action, kind, fields = {}, children }) => (
  <Form visit={visit} action={action}>
    {Object.entries(fields).map(([name, value]) => (
      <input type="hidden" name={name} value={value} />
    ))}
    <span>
      <button type="submit" class={kind}>
        {children}
      </button>
    </span>
  </Form>
);

export interface Option {
  readonly value: string;
  readonly text: string;
}

export const Select: FC<{
  id: string;
  name: string;
  label: string;
  options: readonly Option[];
  chosen?: string | undefined;
}> = ({ id, name, label, options, chosen }) => (
  <div class="field">
    <label for={id}>{label}</label>
    <select id={id} name={name}>
      {options.map(({ value, text }) => (
        <option value={value} selected={value === chosen}>
          {text}
        </option>
      ))}
    </select>
  </div>
);

export const Field: FC<{
  id: string;
  name: string;
  label: string;
  value?: string | undefined;
  hint?: string;
  type?: string;
  max?: number;
  required?: boolean;
}> = ({ id, label, hint, max = 200, type = 'text', ...rest }) => (
  <div class="field">
    <label for={id}>{label}</label>
    {hint && (
      <span class="soft small" id={`${id}-hint`}>
        {hint}
      </span>
    )}
    <input
      id={id}
      type={type}
      maxlength={max}
      autocomplete="off"
      aria-describedby={hint ? `${id}-hint` : undefined}
      {...rest}
    />
  </div>
);

export const Choice: FC<PropsWithChildren<{ name: string; value: string; checked?: boolean }>> = ({
  name,
  value,
  checked,
  children,
}) => (
  <label class="choice">
    <input type="radio" name={name} value={value} checked={checked} />
    <span>{children}</span>
  </label>
);

/** Wide ones scroll by themselves, also by the keyboard. */
export const Table: FC<PropsWithChildren<{ label: string; head: readonly Child[] }>> = ({ label, head, children }) => (
  <section class="scroll" aria-label={label} tabindex={0}>
    <table>
      <thead>
        <tr>
          {head.map((cell) => (
            <th scope="col">{cell}</th>
          ))}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  </section>
);

export const Empty: FC<PropsWithChildren<{ title: string }>> = ({ title, children }) => (
  <div class="empty">
    <h2>{title}</h2>
    <div>{children}</div>
  </div>
);

export const Facts: FC<{ of: readonly (readonly [string, Child] | false | undefined)[] }> = ({ of }) => (
  <dl class="facts">
    {of.map(
      (fact) =>
        fact && (
          <>
            <dt>{fact[0]}</dt>
            <dd>{fact[1]}</dd>
          </>
        ),
    )}
  </dl>
);
