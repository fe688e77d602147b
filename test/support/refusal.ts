/** What every refusal at the SCIM door must look like (RFC 7644 §3.12). */
import { expect } from 'vitest';
import { ScimError } from '../../src/scim/error';
import { ERROR } from '../../src/scim/urns';
import type { Answer } from './client';

/** @param detail what the sentence must say, beside being one. */
export function expectRefusal(answer: Answer, status: number, scimType?: string, detail?: RegExp): void {
  expect({ status: answer.status, scimType: answer.body?.scimType }, answer.text.slice(0, 300)).toEqual({
    status,
    scimType,
  });
  expectScimError(answer);
  if (detail) expect(answer.body.detail).toMatch(detail);
}

/** A SCIM Error with a detail, and nothing else. */
export function expectScimError(answer: Answer): void {
  expect(answer.headers.get('Content-Type')).toBe('application/scim+json');
  expect(answer.body).toEqual({
    schemas: [ERROR],
    status: String(answer.status),
    detail: expect.stringMatching(/\S.{8,}/s),
    ...(answer.body?.scimType !== undefined && { scimType: expect.stringMatching(/^[a-z]+[A-Za-z]*$/) }),
  });
}

export interface Refusal {
  readonly status: number;
  readonly scimType: string | undefined;
  readonly detail: string;
}

/** @throws whatever is no ScimError: a TypeError would be a 500. */
export function refusalOf(attempt: () => unknown): Refusal {
  try {
    attempt();
  } catch (error) {
    if (!(error instanceof ScimError)) throw error;
    return { status: error.status, scimType: error.scimType, detail: error.detail };
  }
  throw new Error('a refusal was expected, and nothing was refused');
}
