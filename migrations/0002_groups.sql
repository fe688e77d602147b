CREATE TABLE `groups` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`org_id` text NOT NULL,
	`id` text NOT NULL,
	`display_name_key` text NOT NULL,
	`external_id` text,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL,
	`modified_at` integer NOT NULL,
	`member_count` integer DEFAULT 0 NOT NULL,
	`resource` text NOT NULL,
	`folded` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `groups_id` ON `groups` (`org_id`,`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `groups_display_name` ON `groups` (`org_id`,`display_name_key`);--> statement-breakpoint
CREATE INDEX `groups_external_id` ON `groups` (`org_id`,`external_id`);--> statement-breakpoint
CREATE INDEX `groups_order` ON `groups` (`org_id`,`seq`);--> statement-breakpoint
CREATE TABLE `memberships` (
	`org_id` text NOT NULL,
	`group_seq` integer NOT NULL,
	`is_group` integer NOT NULL,
	`member_seq` integer NOT NULL,
	PRIMARY KEY(`org_id`, `group_seq`, `is_group`, `member_seq`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `memberships_member` ON `memberships` (`org_id`,`is_group`,`member_seq`,`group_seq`);--> statement-breakpoint
ALTER TABLE `orgs` ADD `group_count` integer DEFAULT 0 NOT NULL;