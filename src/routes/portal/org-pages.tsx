/** The pages of one org. */
import { Hono } from 'hono';
import { overview } from './overview';
import type { PortalApp } from './visit';

export const orgPages = new Hono<PortalApp>();

orgPages.route('/', overview);
