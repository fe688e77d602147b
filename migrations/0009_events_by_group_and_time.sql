CREATE INDEX `events_groups` ON `events` (`org_id`,`seq`) WHERE type >= 'group.' AND type < 'group/';--> statement-breakpoint
CREATE INDEX `events_at` ON `events` (`org_id`,`at`,`seq`,`actor`,`type`);