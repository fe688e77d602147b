ALTER TABLE `orgs` ADD `flag_published_at` integer;--> statement-breakpoint
CREATE INDEX `orgs_unflagged` ON `orgs` (`id`) WHERE flag_published_at IS NULL;