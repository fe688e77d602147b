/** What docs/openapi.yaml is made from, loaded by vite: the app's routes, and what their handlers read. */
export { findTargetHandler } from 'hono/utils/handler';
export { toJSONSchema } from 'zod';
export { app } from '../../src/app';
export { listQuestions } from '../../src/routes/sessions/lists';
export { questions } from '../../src/routes/sessions/questions';
export { schemasOf } from '../../src/routes/validator';
