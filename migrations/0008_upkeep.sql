ALTER TABLE `grants` ADD `review_at` integer;--> statement-breakpoint
CREATE INDEX `grants_review` ON `grants` (`review_at`,`approved_at`);--> statement-breakpoint
CREATE INDEX `credentials_alive` ON `credentials` (`org_id`,`kind`,`subject`,`generation`) WHERE generation <> 0 AND revoked_at IS NULL;