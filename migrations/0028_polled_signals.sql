-- Streams that are polled (RFC 8936), with what opens them, and sources that are paused.
ALTER TABLE `signal_sources` ADD `paused_at` integer;--> statement-breakpoint
ALTER TABLE `signal_sources` ADD `poll_url` text;--> statement-breakpoint
ALTER TABLE `signal_sources` ADD `credentials` text;--> statement-breakpoint
ALTER TABLE `signal_sources` ADD `poll_due_at` integer;--> statement-breakpoint
ALTER TABLE `signal_sources` ADD `polled_at` integer;--> statement-breakpoint
ALTER TABLE `signal_sources` ADD `poll_failures` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `signal_sources` ADD `poll_failing_since` integer;--> statement-breakpoint
ALTER TABLE `signal_sources` ADD `poll_error` text;--> statement-breakpoint
CREATE INDEX `signal_sources_due` ON `signal_sources` (`poll_due_at`) WHERE poll_due_at IS NOT NULL;