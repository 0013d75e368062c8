"""De-identified studies wait here for a model. The port, and the queue that lives in the ledger."""
