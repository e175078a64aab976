"""What happens later and what is told: jobs, outbox, audit, an account's events, webhooks, tasks for the staff."""
