CREATE TABLE `traffic` (
	`org_id` text NOT NULL,
	`day` integer NOT NULL,
	`operation` text NOT NULL,
	`count` integer NOT NULL,
	`refused` integer NOT NULL,
	`failed` integer NOT NULL,
	PRIMARY KEY(`org_id`, `day`, `operation`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `traffic_day` ON `traffic` (`day`);