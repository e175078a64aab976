"""Billing: catalogue, subscriptions, invoices, payments (group BIL)."""
