-- Whether deliveries may go to the server's own network: webhooks that were added on the server
-- itself, as all that there were before. Those added on the pages may not.
ALTER TABLE webhooks ADD COLUMN anywhere BIGINT NOT NULL DEFAULT 1;
