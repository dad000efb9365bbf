-- The run task for Terraform: its keys, and the calls of it.

CREATE TABLE run_task_keys (
  project_id TEXT NOT NULL PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE,
  -- What stands for the project in the URL.
  api_id TEXT NOT NULL UNIQUE,
  -- What Terraform signs its calls with. It has to be used, so it cannot be hashed.
  hmac_key TEXT NOT NULL,
  on_untracked TEXT NOT NULL,
  on_outdated TEXT NOT NULL,
  updated_at BIGINT NOT NULL
);

CREATE TABLE run_tasks (
  project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
  -- A result is asked for once. What is remembered here is refused when it is asked for again.
  task_result_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  run_created_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  -- JSON of where the plan is, where the result goes and the token for both, as long as there is
  -- something to do; NULL from then on.
  call TEXT,
  -- When to do it; while a server does it, when another may take over.
  next_at BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  -- What was answered.
  result TEXT NOT NULL,
  PRIMARY KEY (project_id, task_result_id)
);
CREATE INDEX run_tasks_due ON run_tasks (next_at) WHERE call IS NOT NULL;
CREATE INDEX run_tasks_by_age ON run_tasks (run_created_at);
