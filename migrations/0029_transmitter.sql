-- Signals out: who receives them, what they want to be sent, how far each stream is in the journal of each org, and the keys
-- that sign. Triggers make lines and say that one is due, as for webhooks (0024).
CREATE TABLE `signal_exclusions` (
	`org_id` text NOT NULL,
	`stream_id` text NOT NULL,
	`user_id` text NOT NULL,
	PRIMARY KEY(`org_id`, `stream_id`, `user_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `signal_exclusions_stream` ON `signal_exclusions` (`stream_id`,`org_id`,`user_id`);--> statement-breakpoint
CREATE TABLE `signal_lines` (
	`org_id` text NOT NULL,
	`stream_id` text NOT NULL,
	`place` integer NOT NULL,
	`pushes` integer NOT NULL,
	`is_open` integer NOT NULL,
	`due_at` integer,
	`handed_out` text,
	`failures` integer DEFAULT 0 NOT NULL,
	`failing_since` integer,
	`last_error` text,
	`delivered_at` integer,
	`lost_through` integer,
	PRIMARY KEY(`org_id`, `stream_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `signal_lines_stream` ON `signal_lines` (`stream_id`,`due_at`);--> statement-breakpoint
CREATE INDEX `signal_lines_due` ON `signal_lines` (`due_at`) WHERE due_at IS NOT NULL AND pushes = 1;--> statement-breakpoint
CREATE TABLE `signal_receiver_orgs` (
	`org_id` text NOT NULL,
	`receiver_id` text NOT NULL,
	PRIMARY KEY(`org_id`, `receiver_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `signal_receiver_orgs_receiver` ON `signal_receiver_orgs` (`receiver_id`,`org_id`);--> statement-breakpoint
CREATE TABLE `signal_receiver_tokens` (
	`hash` text PRIMARY KEY NOT NULL,
	`receiver_id` text NOT NULL,
	`scopes` text NOT NULL,
	`valid_until` integer NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `signal_receiver_tokens_receiver` ON `signal_receiver_tokens` (`receiver_id`,`valid_until`);--> statement-breakpoint
CREATE TABLE `signal_receivers` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`all_orgs` integer NOT NULL,
	`audience` text NOT NULL,
	`algorithm` text NOT NULL,
	`hash` text NOT NULL,
	`mask` text NOT NULL,
	`previous_hash` text,
	`previous_until` integer,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	`disabled_at` integer
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `signal_receivers_name` ON `signal_receivers` (`name`);--> statement-breakpoint
CREATE TABLE `signal_streams` (
	`id` text PRIMARY KEY NOT NULL,
	`receiver_id` text NOT NULL,
	`issuer` text NOT NULL,
	`method` text NOT NULL,
	`endpoint_url` text,
	`authorization` text,
	`events_requested` text,
	`description` text,
	`status` text NOT NULL,
	`reason` text,
	`control` text DEFAULT '[]' NOT NULL,
	`control_due_at` integer,
	`verification_at` integer,
	`verified_at` integer,
	`refused` integer DEFAULT 0 NOT NULL,
	`last_refusal` text,
	`polled_at` integer,
	`created_at` integer NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `signal_streams_receiver` ON `signal_streams` (`receiver_id`,`created_at`);--> statement-breakpoint
CREATE INDEX `signal_streams_control` ON `signal_streams` (`control_due_at`) WHERE control_due_at IS NOT NULL;--> statement-breakpoint
CREATE TABLE `signing_keys` (
	`kid` text PRIMARY KEY NOT NULL,
	`algorithm` text NOT NULL,
	`state` text NOT NULL,
	`jwk` text NOT NULL,
	`private_key` text NOT NULL,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	`retired_until` integer
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `signing_keys_state` ON `signing_keys` (`algorithm`,`state`);--> statement-breakpoint
-- A new org is told of to the streams of receivers of all orgs.
CREATE TRIGGER `orgs_signals_insert` AFTER INSERT ON `orgs`
BEGIN
  INSERT INTO `signal_lines` (`org_id`, `stream_id`, `place`, `pushes`, `is_open`)
    SELECT NEW.`id`, s.`id`, 4096 * NEW.`event_seq` + 4095, s.`method` = 'push', s.`status` = 'enabled' AND r.`disabled_at` IS NULL
    FROM `signal_receivers` AS r JOIN `signal_streams` AS s ON s.`receiver_id` = r.`id` WHERE r.`all_orgs` = 1;
END;--> statement-breakpoint
CREATE TRIGGER `orgs_signals_due` AFTER UPDATE OF `event_seq` ON `orgs`
WHEN NEW.`event_seq` > OLD.`event_seq` AND OLD.`importing` IS NULL
BEGIN
  UPDATE `signal_lines` SET `due_at` = 0 WHERE `org_id` = NEW.`id` AND `due_at` IS NULL AND `is_open` = 1;
END;--> statement-breakpoint
-- The journal that comes with an imported org is the past of another place: nobody is told it again.
CREATE TRIGGER `orgs_signals_imported` AFTER UPDATE OF `event_seq` ON `orgs`
WHEN OLD.`importing` IS NOT NULL AND NEW.`importing` IS NULL
BEGIN
  UPDATE `signal_lines` SET `place` = 4096 * NEW.`event_seq` + 4095, `handed_out` = NULL WHERE `org_id` = NEW.`id`;
END;--> statement-breakpoint
CREATE TRIGGER `orgs_signals_delete` AFTER DELETE ON `orgs`
BEGIN
  DELETE FROM `signal_receiver_orgs` WHERE `org_id` = OLD.`id`;
  DELETE FROM `signal_exclusions` WHERE `org_id` = OLD.`id`;
  DELETE FROM `signal_lines` WHERE `org_id` = OLD.`id`;
END;--> statement-breakpoint
-- A stream begins with what happens from now on, in each org of its receiver.
CREATE TRIGGER `signal_streams_insert` AFTER INSERT ON `signal_streams`
BEGIN
  INSERT INTO `signal_lines` (`org_id`, `stream_id`, `place`, `pushes`, `is_open`)
    SELECT o.`id`, NEW.`id`, 4096 * o.`event_seq` + 4095, NEW.`method` = 'push', NEW.`status` = 'enabled'
    FROM `signal_receivers` AS r JOIN `orgs` AS o
      ON r.`all_orgs` = 1 OR o.`id` IN (SELECT `org_id` FROM `signal_receiver_orgs` WHERE `receiver_id` = r.`id`)
    WHERE r.`id` = NEW.`receiver_id`;
END;--> statement-breakpoint
-- Paused is kept; what happens while it is disabled is dropped, as SSF has it.
CREATE TRIGGER `signal_streams_status` AFTER UPDATE OF `status` ON `signal_streams`
WHEN NEW.`status` <> OLD.`status`
BEGIN
  UPDATE `signal_lines` SET `is_open` = NEW.`status` = 'enabled'
      AND EXISTS (SELECT 1 FROM `signal_receivers` WHERE `id` = NEW.`receiver_id` AND `disabled_at` IS NULL),
    `place` = iif(OLD.`status` = 'disabled',
      4096 * ifnull((SELECT `event_seq` FROM `orgs` WHERE `id` = `signal_lines`.`org_id`), 0) + 4095, `place`),
    `handed_out` = iif(OLD.`status` = 'disabled', NULL, `handed_out`),
    -- Only where there is something: an enabled stream of many orgs must not wake them all.
    `due_at` = iif(NEW.`status` = 'enabled' AND OLD.`status` <> 'disabled' AND (SELECT 4096 * `event_seq` + 4095 FROM `orgs` WHERE `id` = `signal_lines`.`org_id`) > `place`
      AND EXISTS (SELECT 1 FROM `signal_receivers` WHERE `id` = NEW.`receiver_id` AND `disabled_at` IS NULL), 0, NULL),
    `failures` = 0, `failing_since` = NULL
  WHERE `stream_id` = NEW.`id`;
END;--> statement-breakpoint
CREATE TRIGGER `signal_streams_method` AFTER UPDATE OF `method`, `endpoint_url` ON `signal_streams`
BEGIN
  UPDATE `signal_lines` SET `pushes` = NEW.`method` = 'push', `handed_out` = NULL, `failures` = 0, `failing_since` = NULL,
    `due_at` = iif(`is_open` = 1 AND (SELECT 4096 * `event_seq` + 4095 FROM `orgs` WHERE `id` = `signal_lines`.`org_id`) > `place`, 0, NULL) WHERE `stream_id` = NEW.`id`;
END;--> statement-breakpoint
CREATE TRIGGER `signal_streams_delete` AFTER DELETE ON `signal_streams`
BEGIN
  DELETE FROM `signal_exclusions` WHERE `stream_id` = OLD.`id`;
  DELETE FROM `signal_lines` WHERE `stream_id` = OLD.`id`;
END;--> statement-breakpoint
CREATE TRIGGER `signal_receivers_switched` AFTER UPDATE OF `disabled_at` ON `signal_receivers`
WHEN (NEW.`disabled_at` IS NULL) <> (OLD.`disabled_at` IS NULL)
BEGIN
  UPDATE `signal_lines` SET (`is_open`, `due_at`, `failures`, `failing_since`) = (
      SELECT s.`status` = 'enabled' AND NEW.`disabled_at` IS NULL,
        iif(s.`status` = 'enabled' AND NEW.`disabled_at` IS NULL AND (SELECT 4096 * `event_seq` + 4095 FROM `orgs` WHERE `id` = `signal_lines`.`org_id`) > `place`, 0, NULL), 0, NULL
      FROM `signal_streams` AS s WHERE s.`id` = `signal_lines`.`stream_id`)
    WHERE `stream_id` IN (SELECT `id` FROM `signal_streams` WHERE `receiver_id` = NEW.`id`);
END;--> statement-breakpoint
CREATE TRIGGER `signal_receivers_delete` AFTER DELETE ON `signal_receivers`
BEGIN
  DELETE FROM `signal_receiver_tokens` WHERE `receiver_id` = OLD.`id`;
  DELETE FROM `signal_receiver_orgs` WHERE `receiver_id` = OLD.`id`;
  DELETE FROM `signal_streams` WHERE `receiver_id` = OLD.`id`;
END;--> statement-breakpoint
-- Whether an org has a stream is part of its profile: its ServiceProviderConfig says so.
CREATE TRIGGER `signal_lines_insert` AFTER INSERT ON `signal_lines`
BEGIN
  UPDATE `orgs` SET `revision` = `revision` + 1 WHERE `id` = NEW.`org_id`;
END;--> statement-breakpoint
CREATE TRIGGER `signal_lines_delete` AFTER DELETE ON `signal_lines`
BEGIN
  UPDATE `orgs` SET `revision` = `revision` + 1 WHERE `id` = OLD.`org_id`;
END;
