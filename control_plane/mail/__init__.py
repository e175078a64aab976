"""Mail: what is written (templates, catalogues), how it leaves (SMTP), where it stays in development (a mailbox)."""
