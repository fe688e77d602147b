// Chromium for the tests that want a real browser, without what costs time and shows nothing here.
import { type Browser, chromium } from 'playwright-core';
import { doesExist, environment } from './node.ts';

/** Where Chromium is, or would be. */
export const executablePath = environment['CHROMIUM'] ?? '/usr/bin/chromium';
export const isInstalled = doesExist(executablePath);

const ARGUMENTS = [
  '--no-sandbox',
  '--no-first-run',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-extensions',
  // Nobody looks at the picture.
  '--disable-gpu',
  '--disable-gpu-rasterization',
  '--disable-software-rasterizer',
];

export const launchBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath, headless: true, args: ARGUMENTS });
