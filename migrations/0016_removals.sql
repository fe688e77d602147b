CREATE TABLE `removals` (
	`org_id` text NOT NULL,
	`kind` text NOT NULL,
	`target` text NOT NULL,
	`resource_type` text,
	`place` integer DEFAULT 0 NOT NULL,
	`changed` integer DEFAULT 0 NOT NULL,
	`since` integer NOT NULL,
	`turn` integer DEFAULT 0 NOT NULL,
	PRIMARY KEY(`org_id`, `kind`, `target`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `removals_turn` ON `removals` (`turn`);