-- How the CAEP and RISC events of a receiver name a user: `scim`, `email` or `iss_sub`.
ALTER TABLE `signal_receivers` ADD `subject` text DEFAULT 'scim' NOT NULL;