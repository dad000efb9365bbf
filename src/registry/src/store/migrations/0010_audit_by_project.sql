-- The newest lines of one project, however many others have since: its page shows them.
CREATE INDEX audit_by_project ON audit (project_id, at);
