// Numbers as people read them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const CLOCK = new Intl.DateTimeFormat("en", { timeStyle: "medium", hourCycle: "h23" });

export const UNKNOWN = "–";

/** `12,300`; a dash for what nobody knows. */
export const whole = (value) => (value == null ? UNKNOWN : WHOLE.format(value));

/** `1 token`, `310 tokens`. */
export const tokens = (value) => `${whole(value)} token${Math.round(value) === 1 ? "" : "s"}`;

/** `0.42 s`, `12 s`, `3.5 min`. */
export function seconds(value) {
  if (value == null) return UNKNOWN;
  if (value >= 600) return `${WHOLE.format(value / 60)} min`;
  if (value >= 120) return `${(value / 60).toFixed(1)} min`;
  return `${value.toFixed(value >= 9.95 ? 0 : value >= 0.95 ? 1 : 2)} s`;
}

/** `63 %`, `0.4 %`; a dash where there is nothing to be a share of. */
export function share(part, all) {
  if (!all || part == null) return UNKNOWN;
  const percent = (100 * part) / all;
  return `${percent > 0 && percent < 9.95 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

/** `120–900`; a dash for what nobody knows. */
export function range(low, high) {
  if (low == null || high == null) return UNKNOWN;
  return whole(low) === whole(high) ? whole(low) : `${whole(low)}–${whole(high)}`;
}

/** `14:02:11`, of seconds since 1970. */
export const clock = (at) => CLOCK.format(new Date(1000 * at));
