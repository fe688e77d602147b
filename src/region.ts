/** The region that a host serves, and where the others are. */

/** Which region a host serves, and where the others are served. */
export interface Region {
  readonly label: string;
  /** Addresses of services by the labels of their regions, without a slash at the end. */
  readonly urls: ReadonlyMap<string, string>;
}
