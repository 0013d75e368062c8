"""Watching the flow and the models: what stands in the ledger, and whether data and answers stay what they were."""
