/** How the portal looks: one style sheet, in the page itself. The vendor's colour becomes one that can be read on light and dark. */

/** Each colour has 4.5 : 1 on the ones it is used on; lines of fields and marks have 3 : 1. */
const SHEET = `
*{box-sizing:border-box}
[hidden],.live:empty{display:none!important}
html{-webkit-text-size-adjust:100%}
body{margin:0;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--text);background:var(--back);overflow-wrap:anywhere}
:root{color-scheme:light dark;--text:#171b24;--soft:#5a6375;--back:#f6f7f9;--card:#fff;--line:#e3e6ec;--field:#858d9d;--sunk:#f1f3f6;
--good:#16703b;--good-back:#e5f5ec;--bad:#b42318;--bad-back:#fdecea;--warn:#855200;--warn-back:#fdf3dc;--wait-back:#eceff3}
@media (prefers-color-scheme:dark){:root{--text:#eceff5;--soft:#a3acbd;--back:#0e1116;--card:#161a21;--line:#2a303b;--field:#7d8799;--sunk:#1d222b;
--good:#6bd49a;--good-back:#12301f;--bad:#ff9d92;--bad-back:#3a1a17;--warn:#f0bf66;--warn-back:#33260c;--wait-back:#242a34}}
h1,h2,h3{line-height:1.25;margin:0;text-wrap:balance;letter-spacing:-.01em}
h1{font-size:1.5rem}h2{font-size:1.0625rem}h3{font-size:.9375rem}
p,ul,ol,dl,pre{margin:0}
a{color:var(--accent)}
code,.mono{font:.875em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.soft{color:var(--soft)}.small{font-size:.8125rem}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;z-index:2;background:var(--card);padding:.5rem .75rem}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:6px}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.top{display:flex;flex-wrap:wrap;align-items:center;gap:.5rem 1rem;padding:.625rem 1.25rem;background:var(--card);border-bottom:1px solid var(--line)}
.brand{display:flex;align-items:center;gap:.625rem;font-weight:650;color:inherit;text-decoration:none}
.brand img{height:1.5rem;max-width:9rem;object-fit:contain}
.brand .mark{width:1.5rem;height:1.5rem;border-radius:.45rem;background:var(--fill);color:var(--on-fill);display:grid;place-items:center;font-size:.8125rem;font-weight:700}
.top .org{color:var(--soft);padding-left:1rem;border-left:1px solid var(--line);max-width:16rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.top .me{margin-left:auto;display:flex;flex-wrap:wrap;align-items:center;gap:.25rem 1rem;font-size:.8125rem;color:var(--soft)}
.top .me bdi{max-width:14rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.frame{display:grid;grid-template-columns:13.5rem minmax(0,1fr);gap:2rem;max-width:75rem;margin:0 auto;padding:1.5rem 1.25rem 4rem}
.side ul{list-style:none;padding:0;display:flex;flex-direction:column;gap:.125rem;position:sticky;top:1.25rem}
.side a{display:flex;align-items:center;gap:.5rem;padding:.4375rem .625rem;border-radius:.5rem;color:var(--soft);text-decoration:none;font-weight:500}
.side a:hover{background:var(--sunk);color:var(--text)}
.side a[aria-current]{background:var(--tint);color:var(--accent);font-weight:600}
.side .count{margin-left:auto;font-size:.75rem;background:var(--warn-back);color:var(--warn);border-radius:1rem;padding:0 .5rem;font-weight:600}
.stack{display:flex;flex-direction:column;gap:1.25rem}.tight{gap:.625rem}
.row{display:flex;flex-wrap:wrap;align-items:center;gap:.625rem 1rem}.row .end{margin-left:auto}.row .grow{flex:1 1 14rem;width:auto}.row>.field{flex:0 1 12rem}.row:has(>.field){align-items:flex-end}
.lead{color:var(--soft);max-width:44rem;margin-top:.375rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.875rem;padding:1.125rem 1.25rem;display:flex;flex-direction:column;gap:.875rem}
.card>.facts~h3{border-top:1px solid var(--line);padding-top:.875rem}.card>header{display:flex;flex-wrap:wrap;gap:.25rem .75rem;align-items:center}.card>header .end{margin-left:auto}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(13rem,100%),1fr));gap:1rem}
.figure{display:flex;flex-direction:column;gap:.125rem}.figure b{font-size:1.5rem;font-weight:650;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.two{display:grid;grid-template-columns:15rem minmax(0,1fr);gap:1.25rem;align-items:start}
.card:has(>.steps){padding:0}
.tabs{display:inline-flex;flex-wrap:wrap;gap:.125rem;background:var(--sunk);border-radius:.625rem;padding:.1875rem}
.tabs a{padding:.3125rem .75rem;border-radius:.5rem;color:var(--soft);text-decoration:none;font-weight:550;font-size:.875rem}
.tabs a[aria-current]{background:var(--card);color:var(--text);box-shadow:0 1px 2px #0003}
.steps{list-style:none;padding:.5rem;margin:0;display:flex;flex-direction:column}
.steps a{display:grid;grid-template-columns:1.5rem minmax(0,1fr);gap:0 .625rem;padding:.5rem .625rem;border-radius:.5rem;color:inherit;text-decoration:none}
.steps a:hover{background:var(--sunk)}.steps a[aria-current]{background:var(--tint)}
.steps .name{font-weight:550}.steps .state{grid-column:2;font-size:.8125rem;color:var(--soft);min-height:1.25rem}
.dot{width:1.25rem;height:1.25rem;border-radius:50%;display:grid;place-items:center;background:var(--wait-back);color:var(--soft);font-size:.6875rem;font-weight:700;margin-top:.125rem}
.dot svg{width:.75rem;height:.75rem}
.works .dot,.dot.works{background:var(--good-back);color:var(--good)}.failed .dot,.dot.failed{background:var(--bad-back);color:var(--bad)}
.badge{display:inline-flex;align-items:center;gap:.375rem;font-size:.8125rem;font-weight:600;padding:.0625rem .625rem;border-radius:1rem;background:var(--wait-back);color:var(--soft);white-space:nowrap}
.badge.works{background:var(--good-back);color:var(--good)}.badge.failed{background:var(--bad-back);color:var(--bad)}.badge.warn{background:var(--warn-back);color:var(--warn)}
.note{display:flex;gap:.625rem;padding:.75rem 1rem;border-radius:.75rem;background:var(--sunk);align-items:flex-start}
.note>svg{flex:none;width:1.125rem;height:1.125rem;margin-top:.1875rem}
.note>div{flex:1;min-width:0;display:flex;flex-direction:column;gap:.375rem;align-items:flex-start}
.note.works{background:var(--good-back)}.note.works>svg{color:var(--good)}
.note.failed{background:var(--bad-back)}.note.failed>svg{color:var(--bad)}.note.warn{background:var(--warn-back)}.note.warn>svg{color:var(--warn)}
.proof{display:flex;gap:.75rem;align-items:flex-start;min-height:3.75rem}
.proof .dot{flex:none;width:2rem;height:2rem;font-size:1rem;margin:0}.proof .dot svg{width:1rem;height:1rem}
.facts{display:grid;grid-template-columns:minmax(8rem,12rem) minmax(0,1fr);gap:.5rem 1rem}
.facts dt{color:var(--soft)}.facts dd{margin:0}
.copy{display:flex;gap:.5rem;align-items:stretch;flex-wrap:wrap}
.copy code{flex:1 1 14rem;min-width:0;background:var(--sunk);border:1px solid var(--line);border-radius:.5rem;padding:.4375rem .75rem;user-select:all}
.field{display:flex;flex-direction:column;gap:.25rem;max-width:28rem}
.field label,legend{font-weight:600;font-size:.875rem}
fieldset{border:0;padding:0;margin:0;display:flex;flex-direction:column;gap:.375rem;min-width:0}legend{padding:0;margin-bottom:.25rem}
.choice{display:flex;gap:.5rem;align-items:flex-start}.choice input{margin:.25rem 0 0;width:1rem;height:1rem;accent-color:var(--fill);flex:none}
input[type=text],input[type=search],input[type=date],select{font:inherit;color:inherit;background:var(--card);border:1px solid var(--field);border-radius:.5rem;padding:.4375rem .75rem;width:100%;min-height:2.5rem}
button,.button{font:inherit;font-weight:600;min-height:2.5rem;padding:.375rem 1rem;border-radius:.5rem;border:1px solid var(--field);background:var(--card);color:var(--text);cursor:pointer;text-decoration:none;display:inline-flex;align-items:center;gap:.5rem;justify-content:center}
button:hover,.button:hover{background:var(--sunk)}
.main{background:var(--fill);border-color:var(--fill);color:var(--on-fill)}.main:hover{background:var(--fill);filter:brightness(1.08)}
.danger{color:var(--bad);border-color:var(--bad)}.danger:hover{background:var(--bad-back)}
.plain{border:0;background:none;padding:0;min-height:1.5rem;color:var(--accent);font-weight:500;text-decoration:underline}.plain:hover{background:none}
button[aria-disabled=true]{opacity:.6;cursor:progress}
.scroll{overflow-x:auto;margin:0 -1.25rem;padding:0 1.25rem}
table{border-collapse:collapse;width:100%;font-size:.875rem}
th{text-align:left;font-weight:600;color:var(--soft);font-size:.8125rem;white-space:nowrap}
th,td{padding:.5rem 1rem .5rem 0;border-bottom:1px solid var(--line);vertical-align:top}
td,th{overflow-wrap:normal}td code,td bdi,td a{overflow-wrap:anywhere}td .name,td code.name{min-width:9rem;display:block}.guide td{min-width:7rem}
tr:last-child>td{border-bottom:0}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.log{list-style:none;padding:0;display:flex;flex-direction:column}
.log li{display:grid;grid-template-columns:9rem minmax(0,1fr);gap:.125rem 1rem;padding:.5rem 0;border-bottom:1px solid var(--line)}.log li:last-child{border:0}
.empty{text-align:center;padding:2rem 1rem;color:var(--soft)}.empty h2{color:var(--text);margin-bottom:.375rem}
.guide ol,.guide ul{padding-left:1.25rem;display:flex;flex-direction:column;gap:.5rem}.guide{display:flex;flex-direction:column;gap:.875rem}.guide h3{margin-top:.75rem}
.guide code{background:var(--sunk);border-radius:.25rem;padding:.0625rem .25rem}
.alone{max-width:30rem;margin:12vh auto 4rem;padding:0 1.25rem}
details summary{cursor:pointer;font-weight:600}
@media (max-width:56rem){.frame{grid-template-columns:minmax(0,1fr);gap:1.25rem;padding-top:.75rem}
.side{margin:0 -1.25rem;overflow-x:auto;border-bottom:1px solid var(--line)}.side ul{flex-direction:row;padding:0 1.25rem .5rem;width:max-content;position:static}.side a{white-space:nowrap}
.two{grid-template-columns:minmax(0,1fr)}.steps{flex-direction:row;overflow-x:auto}.steps li{flex:none}.steps a{align-items:center}.steps .name{white-space:nowrap}.steps .state{font-size:.75rem;white-space:nowrap}}
@media (max-width:36rem){.facts{grid-template-columns:minmax(0,1fr);gap:0}.facts dd{margin-bottom:.5rem}.log li{grid-template-columns:minmax(0,1fr)}.top .org{border:0;padding:0}.top .me{margin:0;width:100%}h1{font-size:1.3125rem}}
@media (prefers-reduced-motion:no-preference){.dot,.badge,.note{transition:background-color .3s,color .3s}}
@media (forced-colors:active){.badge,.dot,.card{border:1px solid}}
`;

type Rgb = readonly [number, number, number];

const rgbOf = (hex: string): Rgb => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as unknown as Rgb;
const hexOf = (rgb: Rgb): string => `#${rgb.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`;
const mixed = (a: Rgb, b: Rgb, share: number): Rgb =>
  a.map((part, i) => part + (b[i]! - part) * share) as unknown as Rgb;

/** WCAG 2.2, relative luminance. */
function luminance(rgb: Rgb): number {
  const [r, g, b] = rgb.map((part) => (part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: Rgb, b: Rgb): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light! + 0.05) / (dark! + 0.05);
}

const WHITE: Rgb = [255, 255, 255];
const BLACK: Rgb = [0, 0, 0];

/** The colour, nearer to black or white until it can be read on all of these. */
function readable(color: Rgb, towards: Rgb, ...backs: Rgb[]): Rgb {
  for (let share = 0; share < 1; share += 0.05) {
    const found = mixed(color, towards, share);
    if (backs.every((back) => contrast(rgbOf(hexOf(found)), back) >= 4.6)) return found;
  }
  return towards;
}

function variablesOf(color: string): string {
  const own = rgbOf(color);
  const onFill = contrast(own, WHITE) >= 4.5 ? WHITE : BLACK;
  const fill = readable(own, onFill === WHITE ? BLACK : WHITE, onFill);
  const [lightTint, darkTint] = [mixed(WHITE, own, 0.09), mixed([22, 26, 33], own, 0.22)];
  const light = readable(
    own,
    BLACK,
    WHITE,
    lightTint,
    rgbOf('#f6f7f9'),
    rgbOf('#e5f5ec'),
    rgbOf('#fdecea'),
    rgbOf('#fdf3dc'),
  );
  const dark = readable(own, WHITE, darkTint, rgbOf('#242a34'), rgbOf('#3a1a17'), rgbOf('#33260c'));
  return `:root{--fill:${hexOf(fill)};--on-fill:${hexOf(onFill)};--accent:${hexOf(light)};--tint:${hexOf(lightTint)}}
@media (prefers-color-scheme:dark){:root{--accent:${hexOf(dark)};--tint:${hexOf(darkTint)}}}`;
}

/** @param color `#rrggbb`, the vendor's. */
export const styleFor = (color: string): string => SHEET + variablesOf(color);
