-- A condition that aborts the batch it stands in: D1's batch is atomic, but has no "if".
-- INSERT INTO expect SELECT <1 or anything else>, '<name>' raises "expectation: <name>" unless the first is 1.
CREATE VIEW `expect` AS SELECT 1 AS `is_met`, '' AS `name`;--> statement-breakpoint
CREATE TRIGGER `expect_is_met` INSTEAD OF INSERT ON `expect` WHEN NEW.`is_met` IS NOT 1
BEGIN
  SELECT RAISE(ABORT, 'expectation: ' || NEW.`name`);
END;
